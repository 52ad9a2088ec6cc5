"""Golden tests: what a user has paid for or published stays as it is, whatever changes in how the work is organised.

`python -m tests.golden.write` writes the expected files again.
"""
