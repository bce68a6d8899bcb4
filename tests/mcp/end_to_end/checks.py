"""Counts checks: one line for each, and a closing line for all."""


class Checks:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def equal(self, what, found, expected):
        self.true(what, found == expected, f"found {found!r}\n  expected {expected!r}")

    def true(self, what, holds, otherwise):
        if holds:
            self.passed += 1
            print(f"ok      {what}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED  {what}:\n  {otherwise}", flush=True)

    def close(self):
        """Prints the closing line and gives the exit code."""
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0
