from tests.lambdas.conftest import call as call  # a fixture
from tests.lambdas.conftest import lambda_environment as lambda_environment  # a fixture
