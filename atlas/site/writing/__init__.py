"""Which pages a site has, which are stale, and the processes that write them."""
