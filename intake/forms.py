"""Forms of the requests' pages."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from intake.models import Unmapped
from intake.tables.cells import MAX_BYTES, MAX_ROWS
from orders.forms import OptionsField, is_web_address, options_text
from orders.models import Customer, CustomerProduct, Product


class MendForm(forms.Form):
    """The body that is read instead of the one that came; both are kept."""

    body = forms.CharField(strip=False, required=True, label="Body", widget=forms.Textarea(
        attrs={"class": "mono", "rows": 26, "spellcheck": "false", "wrap": "off", "data-lines": ""}),
        help_text="What came stays as it is; this is read instead of it.")  # fmt: skip

    def __init__(self, *args: Any, keep_crlf: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keep_crlf = keep_crlf

    def clean_body(self) -> str:
        """Browsers send every end of a line as CR LF, whatever it was."""
        body = self.cleaned_data["body"]
        return body if self.keep_crlf else body.replace("\r\n", "\n")


class ImportForm(forms.Form):
    """A file of orders, whose they are, and who is told when they are imported."""

    customer = forms.ModelChoiceField(Customer.objects.filter(active=True), to_field_name="reference")
    file = forms.FileField(
        label="CSV or Excel file", widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,.xlsx"}),
        help_text=f"At most {MAX_BYTES // 1024**2} MB and {MAX_ROWS:,} rows, a row for each item.",
    )  # fmt: skip
    email = forms.EmailField(required=False, label="E-mail", help_text="Gets a message when the import has ended.")

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > MAX_BYTES:
            raise forms.ValidationError(
                f"The file is larger than {MAX_BYTES // 1024**2} MB: split it into several files."
            )
        return file


class MapForm(forms.Form):
    """Which product a customer's name means, and what every such item has besides."""

    product = forms.ModelChoiceField(
        Product.objects.order_by("name"), to_field_name="uid", empty_label="Choose a product",
        error_messages={"invalid_choice": "There is no product %(value)s.", "required": "Choose a product."},
    )  # fmt: skip
    attributes = OptionsField(label="Options of every such item", help_text="Such as paper=silk, size=A5")
    file_url = forms.CharField(max_length=2048, required=False, label="Print file", validators=[is_web_address],
                               help_text="For items that bring none: its address")  # fmt: skip
    every_variant = forms.BooleanField(required=False, label="Whatever its options are")

    def __init__(self, *args: Any, name: Unmapped, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["product"].label_from_instance = lambda product: f"{product.name} ({product.uid})"  # type: ignore[attr-defined]
        if name.variant:
            self.fields["every_variant"].help_text = f"Else only with {options_text(name.variant)}"
        else:
            del self.fields["every_variant"]


class MappedForm(forms.ModelForm):
    """A mapping that is there: another product, other options, another print file."""

    attributes = OptionsField(label="Options of every such item", help_text="Such as paper=silk, size=A5")
    file_url = forms.CharField(max_length=2048, required=False, label="Print file", validators=[is_web_address],
                               help_text="For items that bring none: its address")  # fmt: skip

    class Meta:
        model = CustomerProduct
        fields = ("product", "attributes", "file_url")
