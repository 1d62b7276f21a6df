"""The service does what its own description says, whatever is sent: schemathesis makes requests from `openapi.json`."""

from __future__ import annotations

import pytest
import schemathesis
from edge_app import application
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from propensity_serving.answering import BUDGET_VARIABLE

pytestmark = pytest.mark.slow

EXAMPLES = 15
"""Drawn for each method of each path, of either kind."""
N_OPERATIONS = 9
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def service(small_model, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(BUDGET_VARIABLE, "60")
        with application(small_model, tmp_path_factory.mktemp("described")) as (app, headers, _):
            yield app, headers


@pytest.fixture(scope="module")
def description(service):
    app, headers = service
    return schemathesis.openapi.from_asgi("/openapi.json", app, headers=dict(headers))


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_the_description_is_true(description, service, mode):
    """Of requests that keep to the description, and of those that do not."""
    operations = [found.ok() for found in description.get_all_operations()]
    assert len(operations) >= N_OPERATIONS
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.path_parameters):
            continue  # nothing can be wrong with a request that holds nothing

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case):
            case.call_and_validate(headers=dict(service[1]), checks=CHECKS)

        ask()
