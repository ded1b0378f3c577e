"""Detector drivers, one per file.

A driver offers:
    async expose(exposure_us, into)   fill array('H') of board.pixels; OSError on failure, a
                                      late end and a buffer of another size included; awaits
                                      while integrating, so other tasks run; can be cancelled
    temperature_mdegc()               detector temperature in thousandths of a degree Celsius
A driver knows nothing of lasers, files or networks. The board makes it and hands it out as
`board.detector`:
    simulated     the simulator's, over its bus
    tcd1304       Toshiba TCD1304, 3648 pixels; RP2350 (state machine, ADC, DMA)
    s11639        Hamamatsu S11639-01, 2048 pixels, or C12880MA, 288; RP2350
    oem_serial    a spectrometer module on a serial line; any board, the only one for an ESP32-S3
What the clocked ones share is in `clocked` and `pixel_adc`; their programs end in `_pio`.
"""
