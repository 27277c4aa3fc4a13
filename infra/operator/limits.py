"""Shows and sets the limits of an account.

    python -m infra.operator.limits --account A
    python -m infra.operator.limits --account A --concurrent-calls 50
    python -m infra.operator.limits --account A --concurrent-calls none

`--concurrent-calls` is how many calls of all its campaigns may be under way at once. A new limit holds for calls that
are dispatched after two minutes. It works on the local deployment that runs here, or with --stage on a deployment on
AWS, with the credentials that the AWS tools use.
"""

import argparse
import sys
from collections.abc import Sequence

from chalicelib.domain.lines import MOST_CONCURRENT_CALLS
from chalicelib.storage.accounts import Accounts
from infra.operator.target import Unusable, add_target_options, find_target

_NONE = "none"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.operator.limits", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--account", required=True, help="the account")
    parser.add_argument(
        "--concurrent-calls",
        type=_limit,
        metavar="N",
        help=f"the most calls under way at once, 1 to {MOST_CONCURRENT_CALLS}, or {_NONE}",
    )
    add_target_options(parser)
    options = parser.parse_args(arguments)
    try:
        accounts = Accounts(find_target(options).database)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1
    if accounts.secret(options.account) is None:
        print(f"There is no account {options.account}.", file=sys.stderr)
        return 1
    if options.concurrent_calls is not None:
        accounts.limit_concurrent_calls(options.account, options.concurrent_calls or None)
    limit = accounts.max_concurrent_calls(options.account)
    print(f"concurrent calls: {_NONE if limit is None else limit}")
    return 0


def _limit(text: str) -> int:
    """0 for none."""
    if text == _NONE:
        return 0
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_CONCURRENT_CALLS):
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST_CONCURRENT_CALLS}, or {_NONE}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
