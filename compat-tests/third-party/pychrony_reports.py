"""Prints every report that pychrony gets from the daemon at the address in the first argument."""

import sys

from pychrony import ChronyConnection

with ChronyConnection(sys.argv[1]) as connection:
    for name in "tracking", "sources", "source_stats", "rtc_data":
        print(name)
        try:
            report = getattr(connection, "get_" + name)()
        except Exception as error:
            print(" ", type(error).__name__, error)
            continue
        for line in report if isinstance(report, list) else [report]:
            print(" ", line)
        if name == "tracking":
            print("  synchronised:", report.is_synchronized())
