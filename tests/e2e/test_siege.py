"""A hundred addresses hold every slot open, in each phase of a session, and an honest mail passes within a minute. Apart from the other hostile
clients, so that it begins on a box, a network and tables that nobody has filled before."""

import test_hostile_clients as hostile

board = hostile.board
siege_box = hostile.siege_box
test_a_hundred_addresses_hold_every_slot_and_an_honest_mail_passes = hostile.a_hundred_addresses_hold_every_slot_and_an_honest_mail_passes
