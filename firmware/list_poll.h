/* Fetches newer lists from list.url, several times a day (every 48 h at the very least), by the protocol that any web server or CDN for static
 * files speaks:
 *
 *   GET list.url            Range: bytes=0-N, If-None-Match (or If-Modified-Since): 304 ends it; else the manifest is judged at once
 *   GET list.url.from-V     V is the active list's version: a delta, if there is one (404: none)
 *   GET list.url            Range: bytes=P-, If-Range: the rest, going on at P when the connection breaks; a server that ignores ranges may
 *                           send all
 *
 * A delta that leads to nothing costs only itself: the full image is fetched then. What came of it is in list_update's words, in the log, and
 * after a while an alert. Kept as "list/validator": what the server called the last image (u64 version of the list in use, u32 CRC of the
 * URL, little-endian, then an entity tag or a date). */
#ifndef FIRMWARE_LIST_POLL_H
#define FIRMWARE_LIST_POLL_H

/* At boot, after errand_init and list_update_init. */
void list_poll_init(void);

#endif
