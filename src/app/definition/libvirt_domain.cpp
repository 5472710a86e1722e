#include "app/definition/libvirt_domain.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <map>
#include <optional>

#include "app/definition/xml_tree.hpp"
#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

// What says where a device is in libvirt's machine, or what is so in every VM of ours.
constexpr std::array<std::string_view, 8> kOfNoInterest{"address", "alias",    "acpi",     "apic",
                                                        "vmport",  "emulator", "resource", "uuid"};

bool is_of_no_interest(std::string_view name) {
    return std::ranges::find(kOfNoInterest, name) != kOfNoInterest.end();
}

// Units of <memory>: KiB without one.
std::optional<uint64_t> bytes_of(const XmlElement& memory) {
    static const std::map<std::string, uint64_t> kUnits{
        {"", 1 << 10},     {"b", 1},           {"bytes", 1},     {"k", 1 << 10},
        {"KiB", 1 << 10},  {"KB", 1'000},      {"M", 1 << 20},   {"MiB", 1 << 20},
        {"MB", 1'000'000}, {"G", 1 << 30},     {"GiB", 1 << 30}, {"GB", 1'000'000'000},
        {"T", 1ULL << 40}, {"TiB", 1ULL << 40}};
    const auto unit = kUnits.find(memory.attribute("unit"));
    uint64_t number = 0;
    const char* const end = memory.text.data() + memory.text.size();
    const auto [at, error] = std::from_chars(memory.text.data(), end, number);
    if (unit == kUnits.end() || error != std::errc{} || at != end) return {};
    constexpr uint64_t kMost = uint64_t{1} << 60;
    if (number > kMost / unit->second) return {};
    return number * unit->second;
}

class DomainReader {
public:
    DomainReader(std::string_view file, const XmlElement& domain) : file_(file), domain_(domain) {}

    Result<LibvirtImport> read() {
        if (domain_.name != "domain") return wrong("it is no domain");
        result_.definition.directory = "/";
        if (domain_.attribute("type") == "qemu") options()["engine"] = "soft";
        for (const XmlElement& one : domain_.children)
            TRY(take(one));
        if (!options().contains("net")) options()["net"] = {"none"};
        TRY(check_commas());
        return std::move(result_);
    }

private:
    using Taker = Result<void> (DomainReader::*)(const XmlElement&);

    OptionValues& options() { return result_.definition.options; }
    tl::unexpected<Error> wrong(std::string_view why) const {
        return fail(ErrorCode::invalid_data,
                    fmt::format("import {}: {}; change the definition, or use banyan create with "
                                "options",
                                quote_name(file_), why));
    }
    void add(const char* list, std::string value) {
        OptionValues& values = options()[list];
        if (!values.is_array()) values = OptionValues::array();
        values.push_back(std::move(value));
    }
    void ignore(std::string what) {
        if (std::ranges::find(result_.ignored, what) == result_.ignored.end())
            result_.ignored.push_back(std::move(what));
    }
    // Those of an element that it was not read for.
    void ignore_others(const std::string& path, const XmlElement& element,
                       std::initializer_list<std::string_view> known) {
        for (const XmlElement& one : element.children) {
            if (std::ranges::find(known, one.name) == known.end() && !is_of_no_interest(one.name))
                ignore(path + "/" + one.name);
        }
    }

    Result<void> take_by(const std::map<std::string_view, Taker>& takers, const std::string& path,
                         const XmlElement& element) {
        const auto taker = takers.find(element.name);
        if (taker != takers.end()) return (this->*taker->second)(element);
        if (!is_of_no_interest(element.name)) ignore(path + element.name);
        return {};
    }
    Result<void> take(const XmlElement& element) {
        static const std::map<std::string_view, Taker> kTakers{
            {"name", &DomainReader::take_name},
            {"memory", &DomainReader::take_memory},
            {"currentMemory", &DomainReader::take_current_memory},
            {"vcpu", &DomainReader::take_cpus},
            {"os", &DomainReader::take_os},
            {"features", &DomainReader::take_features},
            {"cpu", &DomainReader::take_cpu_model},
            {"clock", &DomainReader::take_clock},
            {"on_poweroff", &DomainReader::take_action},
            {"on_reboot", &DomainReader::take_action},
            {"on_crash", &DomainReader::take_action},
            {"devices", &DomainReader::take_devices}};
        return take_by(kTakers, "", element);
    }
    Result<void> take_device(const XmlElement& element) {
        static const std::map<std::string_view, Taker> kTakers{
            {"disk", &DomainReader::take_disk},
            {"filesystem", &DomainReader::take_share},
            {"interface", &DomainReader::take_interface},
            {"graphics", &DomainReader::take_graphics},
            {"video", &DomainReader::take_video},
            {"watchdog", &DomainReader::take_watchdog},
            {"memballoon", &DomainReader::take_balloon},
            {"rng", &DomainReader::take_present},
            {"vsock", &DomainReader::take_vsock},
            {"serial", &DomainReader::take_present},
            {"console", &DomainReader::take_present},
            {"controller", &DomainReader::take_present}};
        return take_by(kTakers, "devices/", element);
    }

    Result<void> take_name(const XmlElement& name) {
        result_.definition.name = name.text;
        return {};
    }
    Result<void> take_memory(const XmlElement& memory) {
        const auto bytes = bytes_of(memory);
        if (!bytes) return wrong("its memory is no size");
        options()["memory"] = fmt::format("{}K", *bytes >> 10);
        return {};
    }
    Result<void> take_current_memory(const XmlElement& memory) {
        const auto bytes = bytes_of(memory);
        const XmlElement* const all = domain_.child("memory");
        if (!bytes) return wrong("its current memory is no size");
        if (all == nullptr || bytes_of(*all) != bytes)
            options()["balloon"] = fmt::format("{}K", *bytes >> 10);
        return {};
    }
    Result<void> take_cpus(const XmlElement& cpus) {
        options()["cpus"] = cpus.text;
        return {};
    }
    Result<void> take_os(const XmlElement& os) {
        const XmlElement* const type = os.child("type");
        const std::string arch = type != nullptr ? type->attribute("arch") : "";
        if (!arch.empty() && arch != "x86_64" && arch != "i686")
            return wrong("its processor is of another architecture, " + quote_name(arch));
        const std::string machine = type != nullptr ? type->attribute("machine") : "";
        options()["machine"] = machine.starts_with("microvm") ? "micro" : "pc";
        for (const auto& [element, option] :
             {std::pair{"kernel", "kernel"}, std::pair{"cmdline", "append"}}) {
            if (os.child(element) != nullptr) options()[option] = os.text_of(element);
        }
        if (os.child("initrd") != nullptr) add("initrd", os.text_of("initrd"));
        if (os.child("kernel") == nullptr) take_firmware(os);
        ignore_others("os", os, {"type", "kernel", "cmdline", "initrd", "loader", "boot"});
        return {};
    }
    void take_firmware(const XmlElement& os) {
        const XmlElement* const loader = os.child("loader");
        const bool is_flash = loader != nullptr && loader->attribute("type") == "pflash";
        if (os.attribute("firmware") == "efi" || is_flash) options()["firmware"] = "uefi";
        static const std::map<std::string, const char*> kDevices{
            {"hd", "disk"}, {"cdrom", "cdrom"}, {"fd", "floppy"}, {"network", "network"}};
        const XmlElement* const boot = os.child("boot");
        const auto device =
            boot != nullptr ? kDevices.find(boot->attribute("dev")) : kDevices.end();
        if (device != kDevices.end()) options()["boot"] = device->second;
    }
    Result<void> take_features(const XmlElement& features) {
        ignore_others("features", features, {});
        return {};
    }
    Result<void> take_cpu_model(const XmlElement& cpu) {
        if (!cpu.attribute("mode").starts_with("host-") && cpu.attribute("mode") != "maximum")
            ignore("cpu");
        ignore_others("cpu", cpu, {});
        return {};
    }
    Result<void> take_clock(const XmlElement& clock) {
        if (clock.attribute("offset") != "utc") ignore("clock");
        return {};
    }
    Result<void> take_action(const XmlElement& action) {
        const std::string usual = action.name == "on_reboot" ? "restart" : "destroy";
        if (action.name == "on_reboot" && action.text == "destroy") {
            options()["no-reboot"] = true;
        } else if (action.text != usual) {
            ignore(action.name);
        }
        return {};
    }
    Result<void> take_devices(const XmlElement& devices) {
        for (const XmlElement& one : devices.children)
            TRY(take_device(one));
        return {};
    }
    Result<void> take_present(const XmlElement&) { return {}; }

    static std::string source_of(const XmlElement& disk) {
        const XmlElement* const source = disk.child("source");
        if (source == nullptr) return {};
        if (disk.attribute("type") == "file") return source->attribute("file");
        if (disk.attribute("type") == "block") return source->attribute("dev");
        const XmlElement* const host = source->child("host");
        if (source->attribute("protocol") != "nbd" || host == nullptr) return {};
        const std::string port = host->attribute("port");
        return fmt::format("nbd://{}{}{}/{}", host->attribute("name"), port.empty() ? "" : ":",
                           port, source->attribute("name"));
    }
    Result<void> take_disk(const XmlElement& disk) {
        const std::string source = source_of(disk);
        const std::string device = disk.attribute("device");
        if (source.empty()) {
            ignore("devices/disk without a file");  // an empty drive, or of a kind of its own
            return {};
        }
        if (device == "floppy") {
            add("floppy", source);
        } else if (device == "cdrom") {
            add("cdrom", source);
        } else {
            add("disk", source + disk_settings(disk));
        }
        ignore_others("devices/disk", disk,
                      {"source", "target", "driver", "readonly", "serial", "iotune"});
        return {};
    }
    std::string disk_settings(const XmlElement& disk) {
        static const std::map<std::string, std::string> kBuses{{"virtio", "virtio"},
                                                               {"sata", "ahci"},
                                                               {"ide", "ide"},
                                                               {"scsi", "scsi"},
                                                               {"nvme", "nvme"}};
        std::string settings;
        if (const XmlElement* const driver = disk.child("driver")) {
            const std::string type = driver->attribute("type");
            const std::string cache = driver->attribute("cache");
            if (!type.empty()) settings += ",format=" + type;
            if (cache == "none" || cache == "writeback" || cache == "unsafe")
                settings += ",cache=" + cache;
        }
        if (const XmlElement* const target = disk.child("target")) {
            const auto bus = kBuses.find(target->attribute("bus"));
            if (bus != kBuses.end()) settings += ",bus=" + bus->second;
        }
        if (disk.child("readonly") != nullptr) settings += ",readonly=on";
        if (disk.child("serial") != nullptr) settings += ",serial=" + disk.text_of("serial");
        if (const XmlElement* const limits = disk.child("iotune")) {
            const std::string iops = limits->text_of("total_iops_sec");
            const std::string bytes = limits->text_of("total_bytes_sec");
            if (!iops.empty() && iops != "0") settings += ",iops=" + iops;
            if (!bytes.empty() && bytes != "0") settings += ",bps=" + bytes;
            ignore_others("devices/disk/iotune", *limits, {"total_iops_sec", "total_bytes_sec"});
        }
        return settings;
    }
    Result<void> take_share(const XmlElement& share) {
        const XmlElement* const source = share.child("source");
        const XmlElement* const target = share.child("target");
        if (source == nullptr || target == nullptr || source->attribute("dir").empty()) {
            ignore("devices/filesystem without a directory");
            return {};
        }
        add("share", fmt::format("{}:{}{}", source->attribute("dir"), target->attribute("dir"),
                                 share.child("readonly") != nullptr ? ",readonly=on" : ""));
        ignore_others("devices/filesystem", share, {"source", "target", "driver", "readonly"});
        return {};
    }
    // libvirt's own network behind a NAT is ours; of others nothing but their names is known.
    Result<void> take_interface(const XmlElement& card) {
        const XmlElement* const source = card.child("source");
        const std::string network = source != nullptr ? source->attribute("network") : "";
        const bool is_nat =
            card.attribute("type") == "user" ||
            (card.attribute("type") == "network" && (network.empty() || network == "default"));
        if (!is_nat) ignore(fmt::format("devices/interface/source (it gets a NAT)"));
        std::string value = "nat";
        if (const XmlElement* const model = card.child("model")) {
            if (model->attribute("type").starts_with("e1000")) value += ",model=e1000e";
        }
        if (const XmlElement* const mac = card.child("mac"))
            value += ",mac=" + mac->attribute("address");
        add("net", value);
        ignore_others("devices/interface", card, {"source", "model", "mac"});
        return {};
    }
    Result<void> take_graphics(const XmlElement& graphics) {
        if (graphics.attribute("type") == "vnc") {
            options()["display"] = "vnc";
            if (!graphics.attribute("passwd").empty()) ignore("devices/graphics/passwd");
        } else {
            ignore("devices/graphics");
        }
        return {};
    }
    Result<void> take_video(const XmlElement& video) {
        const XmlElement* const model = video.child("model");
        const bool is_none = model != nullptr && model->attribute("type") == "none";
        options()["vga"] = is_none ? "off" : "on";
        return {};
    }
    Result<void> take_watchdog(const XmlElement& watchdog) {
        const std::string action = watchdog.attribute("action");
        if (action.empty() || action == "reset" || action == "poweroff" || action == "none") {
            options()["watchdog"] = action.empty() ? "reset" : action;
        } else {
            ignore("devices/watchdog");
        }
        return {};
    }
    Result<void> take_balloon(const XmlElement& balloon) {
        if (balloon.attribute("model") == "none") options()["balloon"] = "off";
        return {};
    }
    Result<void> take_vsock(const XmlElement& vsock) {
        const XmlElement* const cid = vsock.child("cid");
        if (cid != nullptr && !cid->attribute("address").empty()) {
            options()["vsock"] = cid->attribute("address");
        } else {
            ignore("devices/vsock");
        }
        return {};
    }

    // Settings are told apart by commas: a name with one cannot be said.
    Result<void> check_commas() const {
        const XmlElement* const devices = domain_.child("devices");
        if (devices == nullptr) return {};
        for (const XmlElement& one : devices->children) {
            const XmlElement* const source = one.child("source");
            if (source == nullptr) continue;
            for (const auto& [name, value] : source->attributes) {
                if (value.find(',') != std::string::npos)
                    return wrong(quote_name(value) + " has a comma in its name");
            }
        }
        return {};
    }

    const std::string_view file_;
    const XmlElement& domain_;
    LibvirtImport result_;
};

}  // namespace

Result<LibvirtImport> import_libvirt(std::string_view file, std::string_view text) {
    TRY_ASSIGN(domain, parse_xml(file, text));
    TRY_ASSIGN(read, DomainReader(file, domain).read());
    TRY(check_options(quote_name(file), read.definition.options));
    return read;
}

}  // namespace banyan
