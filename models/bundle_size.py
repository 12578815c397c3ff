"""How large a backbone's bundle will be, known before anything is trained."""

from contracts.hub_names import is_hub_model
from contracts.manifest import Kind
from models import hub_packs
from models.backbones import form_named

_INT8 = 4  # text is served in int8 where that costs no accuracy


def likely_bytes(model: str) -> int:
    """The weights as they are served; 0 where they are not known, as of a plug-in.

    A model of the hub must have been fetched. Raises `InvalidRequest` for an unknown one.
    """
    form = form_named(model)
    weights = hub_packs.weight_bytes(model) if is_hub_model(model) else 4 * form.parameters
    return weights // _INT8 if form.kind is Kind.TEXT else weights
