"""The control functions here are those of tests/lambdas, in an emulator where IAM decides."""

from tests.lambdas.conftest import call as call  # fixtures, each of them
from tests.lambdas.conftest import data_bucket as data_bucket
from tests.lambdas.conftest import emulator as emulator
from tests.lambdas.conftest import lambda_environment as lambda_environment
from tests.lambdas.conftest import state_table as state_table
