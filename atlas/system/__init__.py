"""Services of the machine: cores, new processes, work spread over them, progress bars.

Other rooms use:

    cores: the number of cores that this process may use.
    memory: free memory given back to the system.
    processes: new Python interpreters, with pipes to them.
    progress: progress bars with a rate and the time left.
    spread: a function of many small things, on all cores.
"""
