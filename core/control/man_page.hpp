// circusctl(1) in roff, from the command table; circus-docgen --man writes it when circusctl is built.
#pragma once

#include <string>

namespace circus::control {

std::string man_page();

}  // namespace circus::control
