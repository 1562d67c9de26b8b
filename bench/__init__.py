"""Side-by-side benchmarks on one machine, in one run: ratios count, absolutes do not."""
