"""One stage: from initial weights to trained ones, on elastic workers.

`StageJob` (everything a stage needs) and `train_stage` (run it on Ray Train). `loss`, `schedule` and
`student` are pure torch. Must not import chain, evaluate, plan or cli.
"""
