#pragma once

#include "cli/images/image_shelf.h"

namespace berth::app {

/// `berth image` on the image store of a data directory. `clock` outlives what it opens.
cli::OpenImageShelf image_shelf_opener(const Clock& clock);

}  // namespace berth::app
