"""`usher stack`: up, down, status of the local stack."""

import msgspec

from services.tools.local_stack import local_module, say, stack_errors, stack_root


def up(*, fresh: bool, containers: bool) -> int:
    """Exit 1 with what to do where it can't be started."""
    with stack_errors():
        state = local_module("stack").up(stack_root(), fresh=fresh, containers=containers, say=say)
    print(f"Kafka  {state.kafka_bootstrap_servers}\nS3     {state.s3_endpoint_url}  bucket {state.s3_bucket}")
    return 0


def down() -> int:
    """Exit 0 also where there was nothing to stop."""
    with stack_errors():
        stopped = local_module("stack").down(stack_root(), say)
    print("stopped" if stopped else "there was no local stack")
    return 0


def status(*, as_json: bool) -> int:
    """Exit 1 where there is no stack or a part of it does not answer."""
    stack = local_module("stack")
    state = stack.status(stack_root())
    parts = stack.liveness(state) if state is not None else {}
    if as_json:
        shown = None if state is None else {"kafka": state.kafka_bootstrap_servers, "s3": state.s3_endpoint_url}
        print(msgspec.json.encode({"stack": shown, "parts": parts}).decode())
    elif state is None:
        print("there is no local stack: `usher stack up` starts one")
    else:
        print(
            f"Kafka  {state.kafka_bootstrap_servers}  {parts['kafka']}\nS3     {state.s3_endpoint_url}  {parts['s3']}"
        )
    return 0 if parts and all(words in {"given", "running"} for words in parts.values()) else 1
