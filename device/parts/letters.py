"""Letters of 4 x 8 pixels for small displays: 26 of them fit in a row of 128 pixels.

Printable ASCII from the space on; four columns each, top pixel in bit 0, as a page of the SSD1306
holds them. Drawn for this project. Whatever is not in it is shown as "?".
"""

import binascii

WIDTH = 4
FIRST = 32
LAST = 126

COLUMNS = binascii.unhexlify(
    b"0000000000005f0000030003143e143e247a2f12621008463649365000000300"  # space to '
    b"003e410000413e002a1c2a00107c100000806000101010000060600040300c03"  # ( to /
    b"3e49453e00427f4062514946224949361814127f274545393e45453801611907"  # 0 to 7
    b"364949360e51513e006c6c00008c6c0000102844282828284428100002015906"  # 8 to ?
    b"3e415d1e7e09097e7f4949363e4141227f41413e7f4949417f0909013e41497a"  # @ to G
    b"7f08087f00417f412040403f7f0814637f4040407f06067f7f06187f3e41413e"  # H to O
    b"7f0909063e41215e7f0919664649493100017f013f40403f1f60601f7f30307f"  # P to W
    b"631c1c630007780761514947007f4100030c304000417f000002010280808080"  # X to _
    b"00010200205454787f444438384444283844447f38545458047e050118a4a47c"  # ` to g
    b"7f04047800447d404080847d7f10284400417f407c18187c7c04047838444438"  # h to o
    b"fc242418182424fc7c08040448545424043f44403c40407c1c60601c7c30307c"  # p to w
    b"6c10106c1ca0a07c64544c440008364100007f004136080010081008"  # x to ~
)


# Four columns of one letter, a view without a copy.
def letter(character):
    at = ord(character)
    if not FIRST <= at <= LAST:
        at = 63  # ?
    at = (at - FIRST) * WIDTH
    return _VIEW[at : at + WIDTH]


_VIEW = memoryview(COLUMNS)
