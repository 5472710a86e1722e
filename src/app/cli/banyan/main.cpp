#include "app/cli/cli.hpp"

int main(int argc, char** argv) {
    return banyan::run_cli(argc, argv);
}
