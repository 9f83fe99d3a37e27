/* There is room for all texts as they are. */
#include "hal/base/packed_text.h"

const struct packed_texts packed_texts = { .bytes = 0 };
