"""Creates, lists and revokes bearer tokens.

    python -m infra.operator.tokens create --account A [--token T]
    python -m infra.operator.tokens list --account A
    python -m infra.operator.tokens revoke --account A HINT

It works on the local deployment that runs here, or with --stage on a deployment on AWS, with the credentials that the
AWS tools use.
"""

import argparse
import sys
from collections.abc import Sequence

from chalicelib.storage.database import Database
from chalicelib.storage.tokens import NoSuchToken, Token, Tokens, TokenTaken
from infra.accounts import open_account
from infra.operator.target import Unusable, add_target_options, find_target


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        database = find_target(options).database
        if options.command == "create":
            _create(database, options.account, options.token)
        elif options.command == "list":
            _list(database, options.account)
        else:
            _revoke(database, options.account, options.hint)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--account", required=True, type=_name, help="the account of the tokens")
    add_target_options(common)
    parser = argparse.ArgumentParser(
        prog="python -m infra.operator.tokens", description=(__doc__ or "").partition("\n")[0]
    )
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", parents=[common], help="create a token, and the account if there is none")
    create.add_argument("--token", type=_token, help="the token, instead of a random one")
    commands.add_parser("list", parents=[common], help="list the account's tokens, each by its first characters")
    revoke = commands.add_parser("revoke", parents=[common], help="revoke one token, at once")
    revoke.add_argument("hint", metavar="HINT", help="the token, its first characters, or those of its digest")
    return parser


def _name(text: str) -> str:
    # An account is part of keys whose parts are separated by slashes.
    if not text or len(text) > 64 or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in text):
        raise argparse.ArgumentTypeError("letters, digits, '-', '_' and '.' only, at most 64")
    return text


def _token(text: str) -> str:
    if not text or not all("!" <= c <= "~" for c in text):
        raise argparse.ArgumentTypeError("printable ASCII without spaces only, so that it fits a header")
    return text


def _create(database: Database, account: str, wanted: str | None) -> None:
    try:
        token, secret = open_account(database, account, wanted)
    except TokenTaken:
        raise Unusable("This token belongs to another account.") from None
    print(f"token:  {token}\nsecret: {secret}")


def _list(database: Database, account: str) -> None:
    for token in Tokens(database).of_account(account):
        print(_line(token))


def _revoke(database: Database, account: str, hint: str) -> None:
    try:
        token = Tokens(database).revoke(account, hint)
    except NoSuchToken as error:
        several = f"Several tokens of {account} begin with {hint}: name one by its digest."
        raise Unusable(several if error.labels else f"No token of {account} begins with {hint}.") from None
    print(f"revoked {_line(token)}")


def _line(token: Token) -> str:
    return f"{token.label}…  {token.created_at:%Y-%m-%d %H:%M} UTC  digest {token.digest[:12]}"


if __name__ == "__main__":
    sys.exit(main())
