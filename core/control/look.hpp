// How circusctl's output looks: Circus's plain lines, which programs read, or tables in colour, which people
// do. The facts (is it a terminal, how wide, what does the environment say) are taken once per output; the
// decision is pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace circus::control {

enum class ColourWhen { Auto, Always, Never };
std::optional<ColourWhen> parse_colour_when(std::string_view word);  // auto, always, never

struct Look {
    bool table = false;  // aligned columns in the place of Circus's lines
    bool colour = false;
    std::size_t width = 80;  // columns of the terminal
};

// Where output goes to.
struct Surroundings {
    bool terminal = false;
    bool refuses_colour = false;  // NO_COLOR is set and not empty, or the terminal is a dumb one
    std::size_t width = 80;
};

Surroundings surroundings_of(int fd);
// Auto: tables on a terminal, in colour unless it is refused there. Always: tables in colour wherever it goes
// (`| less -R`). Never: as Auto, without colour.
Look look_of(ColourWhen when, const Surroundings& surroundings);

}  // namespace circus::control
