"""The data-quality gate behind each stage: Great Expectations suites on frames of the needed columns."""
