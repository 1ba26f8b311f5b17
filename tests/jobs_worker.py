"""A worker whose jobs run tests/jobs_child.py: ``python tests/jobs_worker.py FOLDER IDLE``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from softh.jobs import processes, worker

if __name__ == "__main__":
    processes.COMMAND = (sys.executable, str(Path(__file__).with_name("jobs_child.py")))
    sys.exit(0 if worker.work(Path(sys.argv[1]), float(sys.argv[2])) else 3)
