"""Runs the named benchmarks, or all of them, one after the other.

python -m benchmarks
python -m benchmarks uploads gateway
"""

import argparse
from collections.abc import Callable, Iterable

from benchmarks import bodies, gateway, lateness, overload, pacer, processor, requests, uploads

#: the longest come last
BENCHMARKS: dict[str, Callable[[], Iterable[str]]] = {
    "uploads": uploads.run,
    "bodies": bodies.run,
    "gateway": gateway.run,
    "pacer": pacer.run,
    "requests": requests.run,
    "processor": processor.run,
    "lateness": lateness.run,
    "overload": overload.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(BENCHMARKS)}; by default all")
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}")
    for name in names:
        print(f"{name}:", flush=True)
        for line in BENCHMARKS[name]():
            print(f"  {line}", flush=True)


if __name__ == "__main__":
    main()
