"""Services of the machine: cores, new processes, progress bars.

Other rooms use:

    cores: the number of cores that this process may use.
    processes: new Python interpreters, with pipes to them.
    progress: progress bars with a rate and the time left.
"""
