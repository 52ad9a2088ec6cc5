"""People in a run: approvals, verdicts and labels."""
