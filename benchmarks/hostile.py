"""How long and how much memory hostile uploads take to be judged: python -m benchmarks.hostile."""

import argparse

from tests.hostile.measured import in_process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=680)
    parser.add_argument("--tables", type=int, default=336)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="1 measures each picture by itself")
    print(in_process("preparing", **vars(parser.parse_args())).table())


if __name__ == "__main__":
    main()
