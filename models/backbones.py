"""The backbones there are, as far as one can know them without loading torch.

Another package adds one by an entry point of the group `exemplar.backbones`, whose name is the
backbone's and which leads to a `models.zoo.Backbone`; see docs/backbones.md.
"""

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from contracts.bundle import Preprocessing, TextPreprocessing
from contracts.errors import InvalidRequest
from contracts.hub_names import is_hub_model
from contracts.manifest import Kind

PLUGINS: Final = "exemplar.backbones"


@dataclass(frozen=True, slots=True)
class Form:
    """What a backbone takes and gives: blocks and a pool that make features `(n, feature_dim)`."""

    name: str
    feature_dim: int
    preprocessing: Preprocessing | TextPreprocessing
    has_weights: bool = True  # pretrained ones are published; else it learns from nothing
    parameters: int = 0  # without a head; 0 where nobody has counted

    @property
    def kind(self) -> Kind:
        """What it reads."""
        return Kind.TEXT if isinstance(self.preprocessing, TextPreprocessing) else Kind.IMAGE


_SMALL: Final = Preprocessing(size=64, resize=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))

# Sizes of resized pictures are those that torchvision's weights were made with.
FORMS: Final[dict[str, Form]] = {
    form.name: form
    for form in (
        Form("fcnn", 256, _SMALL, has_weights=False, parameters=6_423_296),
        Form("cnn", 256, _SMALL, has_weights=False, parameters=979_232),
        Form("mobilenet_v2", 1_280, Preprocessing(), parameters=2_223_872),
        Form("mobilenet_v3_small", 576, Preprocessing(resize=256), parameters=927_008),
        Form("mobilenet_v3_large", 960, Preprocessing(resize=232), parameters=2_971_952),
        Form("efficientnet_b0", 1_280, Preprocessing(resize=256), parameters=4_007_548),
        Form("resnet18", 512, Preprocessing(resize=256), parameters=11_176_512),
        Form("resnet50", 2_048, Preprocessing(resize=232), parameters=23_508_032),
        Form("convnext_tiny", 768, Preprocessing(resize=236), parameters=27_818_592),
        Form("vit_b_16", 768, Preprocessing(resize=256), parameters=85_798_656),
        Form("minilm_l6", 384, TextPreprocessing(), parameters=22_565_376),
    )
}


def form_named(name: str) -> Form:
    """Look a backbone's form up. Raises `InvalidRequest` for an unknown name.

    A model of the hub must have been fetched, see `tasks.weights`. Only a plug-in's own code is
    loaded, which may load torch.
    """
    if name in FORMS:
        return FORMS[name]
    if is_hub_model(name):
        from models.hub_packs import pack_of  # which needs this module

        return pack_of(name).form(name)
    return cast("Form", plugin(name))


def plugin(name: str) -> object:
    """Load what a package has under a name. Raises `InvalidRequest` for none or a broken one."""
    for entry in _plugins():
        if entry.name == name:
            try:
                found = entry.load()
            except Exception as error:
                raise InvalidRequest(
                    f"backbone {name!r} of {entry.value!r} cannot be loaded: {error}",
                    fix="mend or remove the package that brings it",
                ) from error
            if not isinstance(found, Form) or found.name != name:
                raise InvalidRequest(
                    f"{entry.value!r} is no backbone named {name!r}",
                    fix="let the entry point lead to a models.zoo.Backbone of its name",
                )
            return found
    raise InvalidRequest(
        f"backbone {name!r} is unknown", fix=f"use one of: {', '.join(known())}, or hf:OWNER/NAME"
    )


def known() -> list[str]:
    """Names of all backbones, plug-ins included."""
    return sorted({*FORMS, *(entry.name for entry in _plugins())})


def _plugins() -> list[EntryPoint]:
    return list(entry_points(group=PLUGINS))
