#include <string>
#include <vector>

#include "control/circusctl.hpp"
#include "shell/shell.hpp"

int main(int argc, char** argv) {
    return circus::control::run_circusctl(std::vector<std::string>(argv + 1, argv + argc),
                                          &circus::shell::run_shell);
}
