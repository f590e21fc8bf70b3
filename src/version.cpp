#include "attn/version.h"

namespace attn {

const char* version() noexcept { return ATTN_VERSION_STRING; }

}  // namespace attn
