# SPDX-License-Identifier: Apache-2.0
"""
experiments: a question each, as a folder experiments/NAME/ with experiment.toml, README.md and
expected.csv (docs/experiments.md).

    spec.py       reads and checks experiment.toml
    points.py     the matrix as points; what each boots; its key
    store.py      build/experiments/: images by content, jobs, results by key
    workflow.py   runs Snakemake over the points that have no result yet
    job.py        one point: boots, and keeps what the machine reported
    measures.py   the measures of a point, by the names of statistics
    figures.py    figures by matplotlib
    timelines.py  what timelines show, and timelines.csv
    page.py       the page of a result
    recorded.py   expected.csv: compare and record
"""
