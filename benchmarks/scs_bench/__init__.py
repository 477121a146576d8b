"""What things cost, measured again on the machine at hand.

Each table is one module that gives rows; `tables` adds the hardware, the versions, the commit and the
command to them and writes benchmarks/results/NAME.csv. What is measured runs in processes of its own.
"""
