"""The published benchmark: fieldassay against its peers, as ratios within one run.

`python -m benchmarks` (what `make bench` does) prints the table and writes build/bench.json and
docs/reference/performance.md. Modules: `table` what is measured and what is to be reached,
`spectra` the libraries and queries, `environment` the peers' environment and the real spectra,
`worker` one child process (a side and its tasks: `ours`, `peers`), `pairing` the alternation and
its statistics, `exactness` the check against float64, `page` the published page.
"""
