# What draws the plots of scripts/benchmark.sh; sourced. find_matplotlib sets
# plot_python, a Python that has it.

find_matplotlib() {
  make_venv
  "$venv/bin/python" -c "import importlib.util, sys; sys.exit(not importlib.util.find_spec('matplotlib'))" \
    || pip_install "installing matplotlib from PyPI into $venv" matplotlib
  plot_python=$venv/bin/python
}
