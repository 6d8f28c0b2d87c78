"""Forms of the requests' pages."""

from django import forms


class MendForm(forms.Form):
    """The body that is read instead of the one that came; both are kept."""

    body = forms.CharField(strip=False, widget=forms.Textarea(attrs={"class": "mono", "rows": 24, "spellcheck": "false"}),
                           help_text="What came stays as it is; this is read instead of it.")  # fmt: skip
