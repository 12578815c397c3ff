"""One DynamoDB table as plain Python values: items by key, conditional writes, no scans."""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Key = tuple[str, str]  # partition key `pk`, sort key `sk`


_encode = TypeSerializer().serialize
_decode = TypeDeserializer().deserialize

_CONFLICT_ATTEMPTS = 10
_FIRST_PAUSE_SECONDS = 0.03


@dataclass(frozen=True, slots=True)
class Guard:
    """Another item that must exist, without a field, for a write to happen."""

    key: Key
    without: str


class GuardFailed(Exception):
    """The guard's item does not exist or has the field; nothing was written."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a transaction; the names in its expressions may be no reserved words."""

    key: Key
    update: str = ""  # such as `ADD taken :amount`; empty deletes the item
    condition: str = ""
    values: dict[str, Any] = field(default_factory=dict)  # by their slots, such as `:amount`

    def as_item(self, table: str) -> dict[str, Any]:
        """The form that DynamoDB takes."""
        parts: dict[str, Any] = {"TableName": table, "Key": _key_item(self.key)}
        parts |= {"UpdateExpression": self.update} if self.update else {}
        parts |= {"ConditionExpression": self.condition} if self.condition else {}
        parts |= {"ExpressionAttributeValues": _to_item(self.values)} if self.values else {}
        return {"Update" if self.update else "Delete": parts}


class Table:
    """Items are dicts of plain values; floats and enums may be among them."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self._name = name

    def get(self, key: Key) -> dict[str, Any] | None:
        """The item as last written, or None."""
        answer = self._client.get_item(
            TableName=self._name, Key=_key_item(key), ConsistentRead=True
        )
        return _from_item(answer["Item"]) if "Item" in answer else None

    def put(self, key: Key, values: dict[str, Any]) -> None:
        """Write an item, whatever was there."""
        self._client.put_item(TableName=self._name, Item=_key_item(key) | _to_item(values))

    def put_new(self, key: Key, values: dict[str, Any]) -> bool:
        """Write an item unless there is one; return whether there was none."""
        return _unless_condition_fails(
            self._client.put_item,
            TableName=self._name,
            Item=_key_item(key) | _to_item(values),
            ConditionExpression="attribute_not_exists(pk)",
        )

    def put_guarded(
        self, key: Key, values: dict[str, Any], guard: Guard, *, is_new: bool = False
    ) -> bool:
        """Write an item while the guard holds, as one transaction. Raises `GuardFailed`.

        With `is_new` an existing item stays as it is; returns whether it was written.
        """
        put: dict[str, Any] = {"TableName": self._name, "Item": _key_item(key) | _to_item(values)}
        if is_new:
            put["ConditionExpression"] = "attribute_not_exists(pk)"
        check = {"ConditionCheck": self._check(guard)}
        refusals = self._write_together([{"Put": put}, check])
        if "ConditionalCheckFailed" in refusals[1:]:
            raise GuardFailed
        return "ConditionalCheckFailed" not in refusals

    def _check(self, guard: Guard) -> dict[str, Any]:
        return {
            "TableName": self._name,
            "Key": _key_item(guard.key),
            "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(#field)",
            "ExpressionAttributeNames": {"#field": guard.without},
        }

    def _write_together(self, items: list[dict[str, Any]]) -> list[str]:
        """Write all or nothing; return what was refused about each, nothing if all was written.

        Unlike a single write, a transaction that meets another write of one of its items fails.
        """
        for attempt in range(_CONFLICT_ATTEMPTS):
            try:
                self._client.transact_write_items(TransactItems=items)  # type: ignore[arg-type]
            except self._client.exceptions.TransactionCanceledException as error:
                reasons = [
                    str(reason.get("Code")) for reason in error.response["CancellationReasons"]
                ]
                if "TransactionConflict" not in reasons or attempt == _CONFLICT_ATTEMPTS - 1:
                    if "ConditionalCheckFailed" not in reasons:
                        raise
                    return reasons
                # Not at the same moment as everybody else.
                pause = _FIRST_PAUSE_SECONDS * 1.6**attempt
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
            else:
                break
        return []

    def put_revision(self, key: Key, values: dict[str, Any], after: int, guard: Guard) -> bool:
        """Write an item that is at revision `after` now (0: there is none), and count it up.

        False, and nothing written, if it is at another, or if the guard does not hold.
        """
        expected = "attribute_not_exists(pk)" if after == 0 else "revision = :after"
        put: dict[str, Any] = {
            "TableName": self._name,
            "Item": _key_item(key) | _to_item(values | {"revision": after + 1}),
            "ConditionExpression": expected,
        }
        if after:
            put["ExpressionAttributeValues"] = _to_item({":after": after})
        check = {"ConditionCheck": self._check(guard)}
        return not self._write_together([{"Put": put}, check])

    def take_lease(self, key: Key, holder: str, now: float, until: float) -> bool:
        """Give an item to `holder` until then, unless another has it; return whether it has it."""
        return _unless_condition_fails(
            self._client.put_item,
            TableName=self._name,
            Item=_key_item(key) | _to_item({"holder": holder, "held_until": until}),
            ConditionExpression="attribute_not_exists(pk) OR holder = :holder OR held_until < :now",
            ExpressionAttributeValues=_to_item({":holder": holder, ":now": now}),
        )

    def end_lease(self, key: Key, holder: str) -> bool:
        """Remove a lease that `holder` has; return whether it had it."""
        return _unless_condition_fails(
            self._client.delete_item,
            TableName=self._name,
            Key=_key_item(key),
            ConditionExpression="holder = :holder",
            ExpressionAttributeValues=_to_item({":holder": holder}),
        )

    def delete(self, key: Key) -> None:
        """Remove an item; an absent one is no error."""
        self._client.delete_item(TableName=self._name, Key=_key_item(key))

    def delete_if(self, key: Key, name: str, value: Any) -> bool:
        """Remove an item whose field has this value; return whether there was one."""
        return _unless_condition_fails(
            self._client.delete_item,
            TableName=self._name,
            Key=_key_item(key),
            ConditionExpression="#name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues=_to_item({":value": value}),
        )

    def query(self, pk: str, sk_prefix: str) -> list[dict[str, Any]]:
        """Every item of a partition whose sort key begins so, in its order and as last written."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": sk_prefix}},
        )
        return [_from_item(item) for page in pages for item in page["Items"]]

    def assign(self, key: Key, changes: dict[str, Any], guard: Guard | None = None) -> None:
        """Set fields of an item, made when absent; its others stay. Raises `GuardFailed`."""
        update = {
            "TableName": self._name,
            "Key": _key_item(key),
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in changes),
            "ExpressionAttributeNames": {f"#{name}": name for name in changes},
            "ExpressionAttributeValues": _to_item({f":{k}": v for k, v in changes.items()}),
        }
        checks = [{"ConditionCheck": self._check(guard)}] if guard else []
        if self._write_together([{"Update": update}, *checks]):
            raise GuardFailed

    def sort_keys(self, pk: str) -> list[str]:
        """The sort key of every item of a partition, in order and as last written."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
            ProjectionExpression="sk",
        )
        return [item["sk"]["S"] for page in pages for item in page["Items"]]

    def newest(self, pk: str, sk_prefix: str, limit: int, before: str = "") -> list[dict[str, Any]]:
        """The last items of a partition whose sort key begins so, the last first.

        `before` is a sort key that such items can have; only those in front of it count.
        """
        answer = self._client.query(
            TableName=self._name,
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=limit,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": sk_prefix}},
            **({"ExclusiveStartKey": _key_item((pk, before))} if before else {}),  # type: ignore[arg-type]
        )
        return [_from_item(item) for item in answer["Items"]]

    def write_all(
        self,
        puts: Mapping[Key, dict[str, Any]],
        deletes: Iterable[Key],
        counted: Key,
        version: int,
        guard: Guard,
    ) -> bool:
        """All of these writes or none of them: False unless the counted item's `version` is this.

        That item is one of those that are put, with a new version; 0 is that of no item. Who
        always reads it first and writes it with the rest never loses another's write. Raises
        `GuardFailed`.
        """
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if version:
            condition = {
                "ConditionExpression": "version = :version",
                "ExpressionAttributeValues": _to_item({":version": version}),
            }
        writes: list[dict[str, Any]] = [
            {
                "Put": {"TableName": self._name, "Item": _key_item(key) | _to_item(values)}
                | (condition if key == counted else {})
            }
            for key, values in puts.items()
        ]
        writes += [{"Delete": {"TableName": self._name, "Key": _key_item(key)}} for key in deletes]
        check = {"ConditionCheck": self._check(guard)}
        try:
            self._client.transact_write_items(TransactItems=[*writes, check])  # type: ignore[list-item]
        except ClientError as error:
            codes = _cancellations(error)
            if codes and codes[-1] == "ConditionalCheckFailed":
                raise GuardFailed from error
            if {"None", "ConditionalCheckFailed", "TransactionConflict"} >= set(codes) > {"None"}:
                return False
            raise
        return True

    def update(
        self,
        key: Key,
        changes: dict[str, Any],
        unless: Mapping[str, Iterable[str]] | None = None,
        only_if: Mapping[str, Any] | None = None,
    ) -> bool:
        """Set fields of an existing item; False, and nothing changed, if there is none.

        A name such as `metrics.epochs` sets one entry of a map, which two processes may do at once.
        `unless` names a field and the values with which the item must stay as it is, `only_if` a
        field and the value that it must have, None for a field that must be absent.
        """
        slots = {path: f":v{number}" for number, path in enumerate(changes)}
        values = {slots[path]: value for path, value in changes.items()}
        names = {part for path in changes for part in path.split(".")}
        conditions = ["attribute_exists(pk)"]
        for name, forbidden in (unless or {}).items():
            marks = {f":{name}{number}": value for number, value in enumerate(forbidden)}
            conditions.append(f"NOT (#{name} IN ({', '.join(marks)}))")
            values |= marks
            names.add(name)
        for name, wanted in (only_if or {}).items():
            names.add(name)
            if wanted is None:
                conditions.append(f"attribute_not_exists(#{name})")
            else:
                conditions.append(f"#{name} = :only_{name}")
                values[f":only_{name}"] = wanted
        return _unless_condition_fails(
            self._client.update_item,
            TableName=self._name,
            Key=_key_item(key),
            UpdateExpression="SET "
            + ", ".join(f"{_expression(path)} = {slot}" for path, slot in slots.items()),
            ConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames={f"#{name}": name for name in names},
            ExpressionAttributeValues=_to_item(values),
        )

    def transact(self, *writes: Write) -> bool:
        """Do all of these or none; False, and nothing changed, where a condition does not hold."""
        return not self._write_together([write.as_item(self._name) for write in writes])

    def write_with(
        self,
        key: Key,
        changes: dict[str, Any],
        only_if: Mapping[str, Any],
        puts: Mapping[Key, dict[str, Any]],
        deletes: Iterable[Key] = (),
    ) -> bool:
        """Set fields of an existing item together with other writes: all of it, or nothing.

        Nothing, and False, unless each field of `only_if` has that value. One that is absent counts
        as None and as 0.
        """
        conditions, values = ["attribute_exists(pk)"], {}
        for name, wanted in only_if.items():
            absent = f"attribute_not_exists(#{name})"
            if wanted is not None:
                values[f":only_{name}"] = wanted
                absent = f"#{name} = :only_{name}" + (f" OR {absent}" if wanted == 0 else "")
            conditions.append(f"({absent})")
        values |= {f":{name}": value for name, value in changes.items()}
        update = {
            "TableName": self._name,
            "Key": _key_item(key),
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in changes),
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": {f"#{name}": name for name in (*changes, *only_if)},
            "ExpressionAttributeValues": _to_item(values),
        }
        writes: list[dict[str, Any]] = [{"Update": update}]
        writes += [
            {"Put": {"TableName": self._name, "Item": _key_item(one) | _to_item(item)}}
            for one, item in puts.items()
        ]
        writes += [{"Delete": {"TableName": self._name, "Key": _key_item(one)}} for one in deletes]
        return not self._write_together(writes)

    def add_to_set(self, key: Key, name: str, values: set[str]) -> set[str]:
        """Put strings into a set, made when absent; return what was in it before."""
        return self._change_set("ADD", key, name, values)

    def remove_from_set(self, key: Key, name: str, values: set[str]) -> None:
        """Take strings out of a set; absent ones change nothing."""
        self._change_set("DELETE", key, name, values)

    def _change_set(self, action: str, key: Key, name: str, values: set[str]) -> set[str]:
        answer = self._client.update_item(
            TableName=self._name,
            Key=_key_item(key),
            UpdateExpression=f"{action} #name :values",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues=_to_item({":values": values}),
            ReturnValues="UPDATED_OLD",
        )
        return set(_from_item(answer.get("Attributes", {})).get(name, ()))


def _unless_condition_fails(call: Callable[..., Any], **arguments: Any) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _cancellations(error: ClientError) -> list[str]:
    """Why each write of a transaction was not done, `None` where it was the others' fault."""
    if error.response["Error"]["Code"] != "TransactionCanceledException":
        return []
    reasons: Any = error.response.get("CancellationReasons", [])
    return [reason.get("Code") or "None" for reason in reasons]


def _expression(path: str) -> str:
    return ".".join(f"#{part}" for part in path.split("."))


def _key_item(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def _to_item(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _encode(_plain(value)) for name, value in values.items()}


def _from_item(item: dict[str, Any]) -> dict[str, Any]:
    return {name: _python(_decode(value)) for name, value in item.items()}


def _plain(value: Any) -> Any:
    """DynamoDB takes no float and no enum."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _python(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _python(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_python(item) for item in value]
    return value
