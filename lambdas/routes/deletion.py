"""Calls on deletions: a project goes, and receipts stay."""

from aws_lambda_powertools.event_handler import Response

from contracts import request_schemas
from contracts.identity import identifier
from lambdas import answers, deletion, environment
from lambdas.receipts import Receipts
from lambdas.routes.description import described
from lambdas.routes.exchange import answer, caller, project_named, router


@router.delete("/v1/projects/<name>")
@described(
    answers={200: answers.receipt, 202: answers.receipt},
    query={"receipt": request_schemas.identifier("Of the deletion to go on with.")},
)
def delete_project(name: str) -> Response[str]:
    """Delete a project with everything that belongs to it: 202 until it is gone, then 200.

    Repeating the call goes on with it. `?receipt=…` goes on with that deletion and never begins
    one, should a project of the same name have been made since.
    """
    project = project_named(name)
    wanted = router.current_event.get_query_string_value("receipt")
    if wanted is not None:  # an empty one is a mistake, which must not begin another deletion
        identifier(wanted, "receipt")
    receipt = deletion.delete(environment.state(), project, wanted or "")
    return answer(200 if receipt.is_done else 202, receipt.as_dict())


@router.get("/v1/receipts")
@described(answers={200: answers.receipts})
def list_receipts() -> Response[str]:
    """Your deletions, under way and done, newest first."""
    found = Receipts(environment.state().table).receipts(caller())
    return answer(200, {"receipts": [receipt.as_dict() for receipt in found]})


@router.get("/v1/receipts/<receipt_id>")
@described(answers={200: answers.receipt})
def show_receipt(receipt_id: str) -> Response[str]:
    """One deletion: how far it is, how much of what has gone, and what stays elsewhere."""
    receipt = Receipts(environment.state().table).receipt(caller(), receipt_id)
    return answer(200, receipt.as_dict())
