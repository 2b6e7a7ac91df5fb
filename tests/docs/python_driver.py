"""Runs blocks of Python in one namespace: a JSON line with a block in, a JSON line with its error, or null, out."""

import json
import sys
import traceback

answers = sys.stdout
sys.stdout = sys.stderr
namespace = {"__name__": "__main__"}
for request in sys.stdin:
    block = json.loads(request)
    error = None
    try:
        exec(compile("\n" * (block["line"] - 1) + block["text"], block["page"], "exec"), namespace)  # noqa: S102
    except BaseException:  # noqa: BLE001
        error = traceback.format_exc()
    print(json.dumps(error), file=answers, flush=True)
