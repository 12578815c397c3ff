"""Who may do what, on a stack `shop` with two projects of ann's and one of bob's.

Objects are named by bucket and key, items by their partition, functions and log groups without the
stack's name. Each line is a real request, with the credentials of the role or policy above it.
"""

from dataclasses import dataclass
from typing import Final

TABLE: Final = """
ApiRole: every tenant's control calls, so every tenant's data; but no models, tokens or others
  may      s3:GetObject                data/users/ann/cats/bundles/m1/model.onnx
  may      s3:GetObject                data/users/bob/cats/datasets/d1/manifest.json
  may      s3:PutObject                data/users/ann/cats/objects/one
  may      s3:PutObject                data/users/ann/cats/inbox/u1/files-1.json
  may      s3:PutObjectTagging         data/users/ann/cats/inbox/u1/files-1.json
  may      s3:ListBucket               data/users/ann/cats/bundles/
  may not  s3:PutObject                data/users/ann/cats/bundles/m1/model.onnx
  may not  s3:PutObject                data/users/ann/cats/datasets/d1/manifest.json
  may not  s3:PutObject                data/weights/net.pth
  may not  s3:GetObject                data/weights/net.pth
  may not  s3:GetObject                data/mlflow/1/model
  may      s3:DeleteObject             data/users/ann/cats/inbox/examples/files-1.json
  may not  s3:DeleteObject             data/users/ann/cats/inbox/u1/files-1.json
  may not  s3:DeleteObject             data/users/ann/cats/objects/one
  may not  s3:GetObject                code/trainer/x/wheel
  may      dynamodb:GetItem            PROJECT#ann_cats
  may      dynamodb:UpdateItem         PROJECT#ann_cats
  may      dynamodb:DeleteItem         PROJECT#ann_cats
  may      dynamodb:Query              PROJECT#ann_cats
  may      dynamodb:Query              USER#ann
  may      dynamodb:PutItem            USER#ann
  may      dynamodb:UpdateItem         ACCOUNT#ann
  may      dynamodb:GetItem            USERS
  may not  dynamodb:UpdateItem         USERS
  may not  dynamodb:Query              USERS
  may not  dynamodb:GetItem            TOKEN#1
  may not  dynamodb:PutItem            TOKEN#1
  may not  dynamodb:PutItem            PACE
  may not  dynamodb:Scan               *
  may not  dynamodb:DeleteTable        *
  may      lambda:InvokeFunction       ingest
  may      lambda:UpdateAlias          infer_ann_cats
  may      lambda:GetFunctionConfiguration  infer_ann_cats
  may      lambda:InvokeFunction       infer_ann_cats:live
  may not  lambda:InvokeFunction       infer_ann_cats
  may not  lambda:InvokeFunction       infer_ann_cats:1
  may not  lambda:InvokeFunction       image_ann_cats:1
  may not  lambda:UpdateFunctionCode   infer_ann_cats
  may not  lambda:UpdateFunctionCode   api
  may not  lambda:DeleteFunction       infer_ann_cats
  may      logs:PutLogEvents           api
  may not  logs:PutLogEvents           infer_ann_cats
  may not  logs:CreateLogGroup         anything
  may not  secretsmanager:GetSecretValue  trainers
  may not  iam:CreateRole              inference/shop-infer_new below InferenceBoundary
  may not  sts:AssumeRole              shop-infer_ann_cats

AuthorizerRole: reads tokens and whose they are
  may      dynamodb:GetItem            TOKEN#1
  may      dynamodb:GetItem            USERS
  may not  dynamodb:UpdateItem         USERS
  may not  dynamodb:Query              USERS
  may not  dynamodb:GetItem            PROJECT#ann_cats
  may not  dynamodb:GetItem            USER#ann
  may not  dynamodb:PutItem            TOKEN#1
  may not  dynamodb:Query              TOKEN#1
  may not  dynamodb:Scan               *
  may not  s3:GetObject                data/users/ann/cats/objects/one
  may not  lambda:InvokeFunction       api
  may      logs:PutLogEvents           authorizer
  may not  logs:PutLogEvents           api

SiteRole: answers files that are in its zip; whatever the page does, the visitor's token does
  may not  s3:GetObject                data/users/ann/cats/objects/one
  may not  s3:ListBucket               data/
  may not  dynamodb:GetItem            PROJECT#ann_cats
  may not  dynamodb:GetItem            TOKEN#1
  may not  dynamodb:Scan               *
  may not  lambda:InvokeFunction       infer_ann_cats:live
  may not  lambda:InvokeFunction       api
  may      logs:PutLogEvents           site
  may not  logs:PutLogEvents           api

IngestRole: reads what was uploaded, starts jobs
  may      s3:GetObject                data/users/ann/cats/inbox/u1/files-1.json
  may      s3:GetObject                data/users/ann/cats/objects/one
  may      s3:PutObject                data/users/ann/cats/inbox/u1/refused.json
  may      s3:PutObjectTagging         data/users/ann/cats/inbox/u1/files-1.json
  may      s3:ListBucket               data/users/ann/cats/inbox/u1/
  may      s3:ListBucket               data/users/ann/cats/objects/
  may not  s3:ListBucket               data/users/ann/cats/bundles/
  may not  s3:ListBucket               data/
  may not  s3:GetObject                data/users/ann/cats/bundles/m1/model.onnx
  may      s3:PutObject                data/users/ann/cats/objects/one
  may not  s3:PutObject                data/users/ann/cats/datasets/d1/manifest.json
  may not  s3:DeleteObject             data/users/ann/cats/inbox/u1/files-1.json
  may      dynamodb:PutItem            PROJECT#ann_cats
  may      dynamodb:UpdateItem         USER#ann
  may      dynamodb:GetItem            PACE
  may      dynamodb:UpdateItem         ACCOUNT#ann
  may      dynamodb:GetItem            USERS
  may not  dynamodb:UpdateItem         USERS
  may not  dynamodb:GetItem            TOKEN#1
  may not  dynamodb:Scan               *
  may      sqs:SendMessage             failures
  may not  lambda:InvokeFunction       infer_ann_cats
  may      logs:PutLogEvents           ingest
  may not  logs:PutLogEvents           api

InferenceRole: shared by functions where no boundary is configured
  may      dynamodb:GetItem            PROJECT#ann_cats
  may not  dynamodb:GetItem            TOKEN#1
  may not  dynamodb:GetItem            USER#ann
  may not  dynamodb:UpdateItem         PROJECT#ann_cats
  may      dynamodb:UpdateItem         RATE#ann_cats#key
  may      s3:PutObject                data/users/ann/cats/requests/2026-11-27/r1.json
  may not  s3:PutObject                data/users/ann/cats/bundles/m1/model.onnx
  may not  dynamodb:Scan               *
  may not  s3:GetObject                data/users/ann/cats/objects/one
  may not  lambda:InvokeFunction       infer_ann_cats
  may      logs:PutLogEvents           infer_ann_cats
  may not  logs:PutLogEvents           api

ann/cats function: checks its keys, counts, logs and keeps its own requests, nothing else
  may      dynamodb:GetItem            PROJECT#ann_cats
  may      dynamodb:UpdateItem         RATE#ann_cats#key
  may not  dynamodb:UpdateItem         PROJECT#ann_cats
  may not  dynamodb:UpdateItem         RATE#bob_cats#key
  may not  dynamodb:UpdateItem         RATE#ann_cats2#key
  may not  dynamodb:GetItem            RATE#ann_cats#key
  may not  dynamodb:GetItem            PROJECT#bob_cats
  may not  dynamodb:GetItem            PROJECT#ann_dogs
  may not  dynamodb:GetItem            USER#ann
  may not  dynamodb:GetItem            TOKEN#1
  may not  dynamodb:PutItem            PROJECT#ann_cats
  may not  dynamodb:DeleteItem         PROJECT#ann_cats
  may not  dynamodb:Query              PROJECT#ann_cats
  may not  dynamodb:Scan               *
  may      s3:PutObject                data/users/ann/cats/requests/2026-11-27/r1.json
  may      s3:PutObjectTagging         data/users/ann/cats/requests/2026-11-27/r1.json
  may not  s3:GetObject                data/users/ann/cats/requests/2026-11-27/r1.json
  may not  s3:GetObject                data/users/ann/cats/objects/one
  may not  s3:GetObject                data/users/bob/cats/objects/one
  may not  s3:PutObject                data/users/ann/dogs/requests/2026-11-27/r1.json
  may not  s3:PutObject                data/users/bob/cats/requests/2026-11-27/r1.json
  may not  s3:PutObject                data/users/ann/cats/bundles/m1/model.onnx
  may not  s3:PutObject                data/users/ann/cats/inbox/u9/manifest.json
  may not  s3:DeleteObject             data/users/ann/cats/requests/2026-11-27/r1.json
  may not  s3:GetObject                data/weights/net.pth
  may not  s3:ListBucket               data/users/ann/cats/
  may not  lambda:InvokeFunction       infer_bob_cats
  may not  lambda:InvokeFunction       infer_ann_cats
  may not  lambda:InvokeFunction       image_ann_cats:1
  may not  lambda:InvokeFunction       ingest
  may not  lambda:UpdateFunctionCode   infer_ann_cats
  may      logs:PutLogEvents           infer_ann_cats
  may      logs:PutLogEvents           image_ann_cats
  may not  logs:PutLogEvents           infer_bob_cats
  may not  logs:PutLogEvents           infer_ann_dogs
  may not  logs:CreateLogGroup         infer_ann_cats
  may not  secretsmanager:GetSecretValue  trainers
  may not  iam:CreateRole              inference/shop-infer_new below InferenceBoundary
  may not  sts:AssumeRole              shop-infer_bob_cats

outgrown function: one whose role somebody has allowed everything, below the boundary
  may      dynamodb:GetItem            PROJECT#ann_cats
  may      dynamodb:UpdateItem         RATE#ann_cats#key
  may not  dynamodb:UpdateItem         PROJECT#ann_cats
  may not  dynamodb:GetItem            TOKEN#1
  may not  dynamodb:GetItem            USER#ann
  may not  dynamodb:PutItem            PROJECT#ann_cats
  may not  dynamodb:Scan               *
  may      s3:PutObject                data/users/ann/cats/requests/2026-11-27/r1.json
  may not  s3:GetObject                data/users/ann/cats/requests/2026-11-27/r1.json
  may not  s3:PutObject                data/users/ann/cats/bundles/m1/model.onnx
  may not  s3:GetObject                data/weights/net.pth
  may      lambda:InvokeFunction       image_ann_cats:1
  may not  lambda:InvokeFunction       api
  may not  lambda:UpdateFunctionCode   infer_ann_cats
  may not  logs:PutLogEvents           api
  may not  secretsmanager:GetSecretValue  trainers
  may not  iam:PutRolePolicy           inference/shop-infer_ann_cats
  may not  iam:DeleteRolePermissionsBoundary  inference/shop-infer_ann_cats

outgrown trainer: as above
  may      s3:GetObject                data/users/ann/cats/objects/one
  may not  s3:GetObject                data/mlflow/1/model
  may not  s3:PutObject                data/weights/net.pth
  may not  dynamodb:GetItem            TOKEN#1
  may not  dynamodb:Scan               *
  may not  lambda:UpdateFunctionCode   api
  may not  iam:PutRolePolicy           trainers/shop-train_ann_cats

ann/cats forwarder: hands calls to the version with the container image
  may      lambda:InvokeFunction       image_ann_cats:1
  may not  lambda:InvokeFunction       image_ann_cats
  may not  lambda:InvokeFunction       image_bob_cats:1
  may not  lambda:InvokeFunction       infer_bob_cats
  may not  dynamodb:GetItem            PROJECT#ann_cats
  may not  s3:PutObject                data/users/ann/cats/requests/2026-11-27/r1.json
  may      logs:PutLogEvents           infer_ann_cats
  may not  logs:PutLogEvents           infer_bob_cats

ann/cats trainer: reads and writes its project, reads its user's records
  may      s3:GetObject                data/users/ann/cats/objects/one
  may      s3:PutObject                data/users/ann/cats/bundles/m2/model.onnx
  may      s3:DeleteObject             data/users/ann/cats/checkpoints/r1/last.ckpt
  may      s3:ListBucket               data/users/ann/cats/
  may      s3:GetObject                data/weights/net.pth
  may      s3:GetObject                code/trainer/x/wheel
  may not  s3:GetObject                data/users/ann/dogs/objects/one
  may not  s3:GetObject                data/users/bob/cats/objects/one
  may not  s3:PutObject                data/users/bob/cats/bundles/m2/model.onnx
  may not  s3:PutObject                data/weights/net.pth
  may not  s3:PutObject                code/trainer/x/wheel
  may not  s3:ListBucket               data/users/bob/
  may not  s3:ListBucket               data/
  may      dynamodb:GetItem            PROJECT#ann_cats
  may      dynamodb:UpdateItem         PROJECT#ann_cats
  may      dynamodb:GetItem            USER#ann
  may not  dynamodb:UpdateItem         USER#ann
  may not  dynamodb:GetItem            PROJECT#ann_dogs
  may not  dynamodb:GetItem            PROJECT#bob_cats
  may not  dynamodb:GetItem            TOKEN#1
  may not  dynamodb:Scan               *
  may      secretsmanager:GetSecretValue  trainers
  may not  lambda:InvokeFunction       infer_ann_cats
  may not  iam:CreateRole              trainers/shop-train_new below TrainerBoundary

DeployerPolicy: the orchestration worker, which works for all projects
  may      s3:GetObject                data/users/ann/cats/objects/one
  may      s3:PutObject                data/users/bob/cats/bundles/m2/model.onnx
  may      s3:DeleteObject             data/users/bob/cats/objects/one
  may      s3:PutObject                data/weights/net.pth
  may      s3:ListBucket               data/users/ann/cats/
  may not  s3:DeleteObject             data/weights/net.pth
  may      s3:DeleteObject             data/mlflow/2/model
  may not  s3:ListBucket               data/
  may not  s3:GetObject                data/mlflow/1/model
  may not  s3:PutObject                data/mlflow/1/model
  may not  s3:GetObject                code/trainer/x/wheel
  may not  s3:PutObject                code/code/x.zip
  may      dynamodb:UpdateItem         PROJECT#ann_cats
  may      dynamodb:DeleteItem         USER#ann
  may      dynamodb:PutItem            PACE
  may      dynamodb:DeleteItem         ACCOUNT#ann
  may not  dynamodb:GetItem            TOKEN#1
  may not  dynamodb:PutItem            TOKEN#1
  may not  dynamodb:UpdateItem         USERS
  may not  dynamodb:Scan               *
  may      lambda:CreateFunction       infer_ann_new as inference/shop-infer_ann_cats
  may      lambda:CreateFunction       infer_ann_old as InferenceRole
  may not  lambda:CreateFunction       infer_ann_evil as ApiRole
  may not  lambda:CreateFunction       infer_ann_evil as trainers/shop-train_ann_cats
  may not  lambda:CreateFunction       other as inference/shop-infer_ann_cats
  may      lambda:InvokeFunction       infer_ann_cats
  may      lambda:UpdateFunctionCode   infer_ann_cats
  may      lambda:UpdateAlias          infer_ann_cats
  may not  lambda:UpdateFunctionCode   api
  may not  lambda:InvokeFunction       api
  may      iam:CreateRole              inference/shop-infer_new below InferenceBoundary
  may not  iam:CreateRole              inference/shop-infer_evil below nothing
  may not  iam:CreateRole              inference/shop-infer_evil below TrainerBoundary
  may not  iam:CreateRole              elsewhere/shop-infer_evil below InferenceBoundary
  may      iam:PutRolePolicy           inference/shop-infer_other
  may not  iam:PutRolePolicy           trainers/shop-train_ann_cats
  may not  iam:PutRolePolicy           ApiRole
  may not  iam:AttachRolePolicy        inference/shop-infer_ann_cats
  may not  iam:DeleteRolePermissionsBoundary  inference/shop-infer_ann_cats
  may not  iam:PutRolePermissionsBoundary     inference/shop-infer_ann_cats
  may not  iam:UpdateAssumeRolePolicy  inference/shop-infer_ann_cats
  may      iam:DeleteRole              inference/shop-infer_other
  may      iam:GetRole                 shop-infer_that_is_not_there
  may not  iam:GetRole                 ApiRole
  may not  iam:DeleteRole              ApiRole
  may not  iam:DeleteRole              trainers/shop-train_ann_cats
  may      logs:CreateLogGroup         infer_ann_cats
  may      logs:CreateLogGroup         image_ann_cats
  may not  logs:CreateLogGroup         other
  may not  secretsmanager:GetSecretValue  trainers

TrainingPolicy: the worker that starts machines
  may      iam:CreateRole              trainers/shop-train_new below TrainerBoundary
  may not  iam:CreateRole              trainers/shop-train_evil below nothing
  may not  iam:CreateRole              trainers/shop-train_evil below InferenceBoundary
  may not  iam:CreateRole              inference/shop-train_evil below TrainerBoundary
  may      iam:PutRolePolicy           trainers/shop-train_other
  may not  iam:PutRolePolicy           inference/shop-infer_ann_cats
  may not  iam:AttachRolePolicy        trainers/shop-train_ann_cats
  may not  iam:DeleteRolePermissionsBoundary  trainers/shop-train_ann_cats
  may not  s3:GetObject                data/users/ann/cats/objects/one
  may not  dynamodb:GetItem            PROJECT#ann_cats
  may not  secretsmanager:GetSecretValue  trainers
  may not  lambda:InvokeFunction       infer_ann_cats

LargeModelPolicy: beside the DeployerPolicy, for container images
  may      codebuild:StartBuild        images
  may      lambda:DeleteFunction       image_ann_gone
  may not  lambda:DeleteFunction       infer_ann_cats
  may not  lambda:InvokeFunction       image_ann_cats:1
  may not  s3:GetObject                data/users/ann/cats/objects/one

TrackingPolicy: the host that MLflow runs on
  may      s3:GetObject                data/mlflow/1/model
  may      s3:PutObject                data/mlflow/1/model
  may      s3:ListBucket               data/mlflow/1/
  may not  s3:GetObject                data/users/ann/cats/objects/one
  may not  s3:ListBucket               data/users/
  may not  s3:GetObject                data/weights/net.pth
  may not  dynamodb:GetItem            PROJECT#ann_cats

ForwardRole: shared by forwarders where no boundary is configured
  may      lambda:InvokeFunction       image_ann_cats:1
  may not  lambda:InvokeFunction       infer_ann_cats
  may not  dynamodb:GetItem            PROJECT#ann_cats
  may not  s3:GetObject                data/users/ann/cats/objects/one

ImageBuildRole: CodeBuild, which runs no code of a tenant's
  may      s3:GetObject                data/users/ann/cats/bundles/m1/image.zip
  may not  s3:GetObject                data/users/ann/cats/bundles/m1/model.onnx
  may not  s3:PutObject                data/users/ann/cats/bundles/m1/image.zip
  may not  dynamodb:GetItem            PROJECT#ann_cats
  may not  lambda:UpdateFunctionCode   image_ann_cats

ReaperRole: ends machines
  may      logs:PutLogEvents           reaper
  may not  logs:PutLogEvents           api
  may not  s3:GetObject                data/users/ann/cats/objects/one
  may not  dynamodb:GetItem            PROJECT#ann_cats
  may not  lambda:InvokeFunction       api
"""


@dataclass(frozen=True)
class Line:
    """One request: who makes it, on what, and whether IAM has to let it through."""

    who: str
    may: bool
    action: str
    what: str

    def __str__(self) -> str:
        return f"{self.who} {'may' if self.may else 'may not'} {self.action} {self.what}"


def lines() -> list[Line]:
    """The table."""
    found, who = [], ""
    for text in filter(None, TABLE.split("\n")):
        if not text.startswith(" "):
            who = text.partition(":")[0]
            continue
        may, _, rest = text.strip().replace("may not", "may-not").partition(" ")
        action, _, what = rest.strip().partition(" ")
        found.append(Line(who, may == "may", action, what.strip()))
    return found


def everybody() -> set[str]:
    """Whose rights the table tells."""
    return {line.who for line in lines()}
