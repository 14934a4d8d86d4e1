"""`python -m mai1 COMMAND`, the entry that torchrun and the deepspeed launcher start."""

from mai1.run.cli import main

if __name__ == "__main__":
    main()
