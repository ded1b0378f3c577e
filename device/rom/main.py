# main.py in the root of a unit's flash: starts the firmware of the right slot (slots.py). A trial
# that ended is started again, and counted; anything else leaves its message and the prompt.
# mypy: ignore-errors
import gc
import sys

from slots import Slots

slots = Slots()
name = slots.choose()
gc.collect()  # the manifest
if name:
    sys.path.insert(0, "/" + name)
    try:
        import main
        from boards import here

        main.main(here(), slots)
    except Exception as error:
        sys.print_exception(error)
    if slots.on_trial():
        import machine

        machine.reset()
else:
    print("No firmware is whole. The laser is off. Install one: release-firmware.md")
