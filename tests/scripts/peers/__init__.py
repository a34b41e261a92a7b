"""Other engines, which `cargo xtask bench decode --peers` measures beside ours on one checkpoint.

`python3 -m peers install VENV KIND`   installs a kind of them, see `install`
`VENV/bin/python -m peers serve PEER CHECKPOINT THREADS`   converts, loads, and does runs; see `serve`
"""
