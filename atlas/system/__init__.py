"""What is asked of the machine: cores, fresh processes, progress bars.

Other rooms use:

    cores: how many cores there are.
    processes: fresh interpreters with pipes.
    progress: progress bars with a rate and the time left.
"""
