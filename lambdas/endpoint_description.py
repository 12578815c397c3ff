"""What the OpenAPI document says of a project's endpoint, which is a function URL of its own."""

from http import HTTPStatus
from typing import Any, Final

from contracts import schema
from contracts.limits import Limits
from contracts.requests import QUESTION_WAYS
from contracts.schema import Schema
from lambdas import answers
from lambdas.openapi_components import Components
from serving.request import MAX_TEXTS

SECURITY_SCHEMES: Final = {
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "A project's."},
    "keyAsBearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
    "signature": {
        "type": "http",
        "scheme": "aws4-hmac-sha256",
        "description": "By AWS credentials, service lambda, where endpoint_auth is 'iam'.",
    },
}
_SERVERS: Final = [
    {
        "url": "{endpoint}",
        "description": "The address that a project's details give; it stays over versions.",
        "variables": {"endpoint": {"default": "https://example.lambda-url.us-east-1.on.aws"}},
    }
]
_REFUSALS: Final = (400, 401, 413, 415, 422, 429, 500, 503)
# Lambda's own, before our code runs.
_LAMBDA: Final = (403, 429, 502)


def paths(components: Components) -> dict[str, Any]:
    """Path items of asking and of looking whether it is well."""
    return {
        "/": {"servers": _SERVERS, "post": _ask(components)},
        "/health": {"servers": _SERVERS, "get": _health(components)},
    }


def _ask(components: Components) -> dict[str, Any]:
    return {
        "operationId": "predict",
        "tags": ["endpoint"],
        "summary": "Ask the live model about a picture or about texts.",
        "description": "The label is null when the example is none of the classes.",
        "security": [{"key": []}, {"keyAsBearer": []}, {"signature": []}],
        "parameters": [
            _query("explain", schema.one_of(("true", "false", "1", "0"), "Say why.")),
            _query("class", schema.text("The class to explain; the answered one if left out.")),
        ],
        "requestBody": {"required": True, "content": _contents(components)},
        "responses": {"200": _response(200, components.refer(answered()))} | _refusals(components),
    }


def answered() -> Schema:
    """One answer, or one for each of several texts."""
    return {"anyOf": [_prediction(), _predictions()]}


def question(_limits: Limits) -> Schema:
    """`POST /v1/projects/{name}/predict`, where one schema names all that may be asked."""
    fields = _ways() | _more()
    body = schema.record("Question", fields, optional=fields)
    ways = [{"required": [way]} for way in QUESTION_WAYS]
    example = {"text": "You have won a prize"}
    return body | {"anyOf": ways, "additionalProperties": False, "examples": [example]}


def _health(components: Components) -> dict[str, Any]:
    healthy = schema.joined("Health", schema.record("", {"status": schema.text()}), _common())
    return {
        "operationId": "health",
        "tags": ["endpoint"],
        "summary": "Whether the model is loaded and able to answer.",
        "security": [],
        "responses": {"200": _response(200, components.refer(healthy))} | _refusals(components),
    }


def _query(name: str, found: Schema) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": found}


def _contents(components: Components) -> dict[str, Any]:
    form = {
        "type": "object",
        "properties": {"file": {"contentMediaType": "application/octet-stream"}},
        "required": ["file"],
    }
    return {
        "application/json": {"schema": {"anyOf": [components.refer(one) for one in _documents()]}},
        "image/*": {"schema": {}},
        "multipart/form-data": {"schema": form},
        "text/plain": {"schema": schema.text("For a project of text, in UTF-8.", minLength=1)},
    }


def _documents() -> list[Schema]:
    more, ways = _more(), _ways()
    kinds = {"AskPicture": "image_base64", "AskAddress": "url", "AskText": "text"}
    return [
        schema.record(title, {name: ways[name]} | more, optional=more)
        for title, name in kinds.items()
    ]


def _ways() -> dict[str, Schema]:
    one = schema.text(minLength=1)
    return {
        "image_base64": schema.text("Also as a data: URL.", minLength=1),
        "url": schema.text("https, of a public host; off by default."),
        "text": {"anyOf": [one, schema.listed(one, minItems=1, maxItems=MAX_TEXTS)]},
    }


def _more() -> dict[str, Schema]:
    return {"explain": _yes_or_no(), "class": schema.text()}


def _yes_or_no() -> Schema:
    return {"anyOf": [schema.truth(), schema.one_of(("true", "false", "1", "0"))]}


def _common() -> Schema:
    fields = {"model_version": schema.text("That answered."), "request_id": schema.text()}
    return schema.record("", fields)


def _answer() -> Schema:
    fields = {
        "label": schema.maybe(schema.text()),
        "probabilities": schema.by_name(schema.number("Calibrated, 0..1.")),
        "explanation": {"anyOf": [_picture_explanation(), _text_explanation()]},
    }
    return schema.record("Answer", fields, optional=["explanation"])


def _prediction() -> Schema:
    return schema.joined("Prediction", _answer(), _common())


def _predictions() -> Schema:
    fields = {"predictions": schema.listed(_answer(), "In the order of the texts.")}
    return schema.joined("Predictions", schema.record("", fields), _common())


def _explained() -> Schema:
    fields = {
        "class": schema.text(),
        "probability": schema.number(),
        "probability_without": schema.number("With what is missed most hidden."),
    }
    return schema.record("", fields)


def _picture_explanation() -> Schema:
    fields = {
        "map": schema.listed(schema.listed(schema.number()), "Rows from the top; 1 matters most."),
        "box": schema.listed(schema.number(), "Left, top, right, bottom as shares of the picture."),
    }
    return schema.joined("PictureExplanation", _explained(), schema.record("", fields))


def _text_explanation() -> Schema:
    word = {
        "text": schema.text(),
        "start": {"type": "integer"},
        "end": {"type": "integer"},
        "weight": schema.number("-1..1; below 0 it speaks against the class."),
    }
    fields = {
        "words": schema.listed(schema.record("WeighedWord", word), "The weightiest first."),
        "words_at_once": {"type": "integer"},
        "characters": {"type": "integer", "description": "How far the text was read."},
    }
    return schema.joined("TextExplanation", _explained(), schema.record("", fields))


def _refusals(components: Components) -> dict[str, Any]:
    error = schema.joined("EndpointError", answers.error(), _common())
    form = components.refer(error)
    either = {status: {"anyOf": [form, {"type": "object"}]} for status in _LAMBDA}
    found = dict.fromkeys(_REFUSALS, form) | either
    return {str(status): _response(status, body) for status, body in sorted(found.items())}


def _response(status: int, body: Schema) -> dict[str, Any]:
    content = {"application/json": {"schema": body}}
    return {"description": HTTPStatus(status).phrase, "content": content}
