"""Serve moto on a port of this machine: PYTHON tests/iac/emulator.py PORT, with a Python that has requirements/apply.lock.

moto ignores the names by which a client asks for scaling policies, so the provider would read one policy for another.
"""

import json
import os
import sys
from typing import Any

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse  # type: ignore[import-not-found]
from moto.server import main  # type: ignore[import-not-found]

_all_policies = ApplicationAutoScalingResponse.describe_scaling_policies


def _named_policies(self: Any) -> str:
    """Return the policies whose names the request gives."""
    response = json.loads(_all_policies(self))
    names = self._get_param("PolicyNames")
    response["ScalingPolicies"] = [
        one for one in response["ScalingPolicies"] if not names or one["PolicyName"] in names
    ]
    return json.dumps(response)


ApplicationAutoScalingResponse.describe_scaling_policies = _named_policies
# The provider waits until as many tasks run as the service asks for.
os.environ["MOTO_ECS_SERVICE_RUNNING"] = "2"
os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
main(["--host", "127.0.0.1", "--port", sys.argv[1]])
