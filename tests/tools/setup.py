"""tools/setup and tools/packages."""
import os
import re
import stat
import subprocess

from kvtest import ROOT


def sections():
    found, name = {}, None
    for line in (ROOT / "tools/packages").read_text().splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            name = match.group(1)
            found[name] = []
        elif line and not line.startswith("#"):
            assert re.fullmatch(r"[a-z0-9][a-z0-9.+-]*(/[a-z0-9-]+)?(:[a-z0-9-]+)?", line), f"not a package: '{line}'"
            found[name].append(line)
    return found


def fake_host(tool, present):
    """A folder of programs under which nothing but `present` is installed and apt-get only writes down what it was asked."""
    folder = tool.vault.dir / "bin"
    folder.mkdir()
    programs = {
        "dpkg-query": "for last; do :; done\n"
                      f'case " {" ".join(present)} $(cat "{folder}/installed" 2>/dev/null) " in *" $last "*) printf "ii " ;; *) exit 1 ;; esac\n',
        "apt-get": f'[ "$1" = indextargets ] && exec cat "{folder}/targets"\n'
                   f'echo "$*" >>"{folder}/asked"\ncase "$*" in *" install "*) "{folder}/policy-rc.d"; echo $? >>"{folder}/policy"; shift; echo "$*" | sed "s|/[a-z-]*||g" >>"{folder}/installed" ;; esac\n',
        "apt-config": f"echo \"parts='{folder}/'\"\n",
        "invoke-rc.d": "exit 0\n",
        "sudo": '"$@"\n',
        "node": "exit 0\n",
    }
    # What apt knows of its sources: place, release, component.
    (folder / "targets").write_text("http://apt.example/ bookworm main\nhttp://apt.example/ bookworm contrib\n")
    for name, text in programs.items():
        (folder / name).write_text("#!/bin/sh\n" + text)
        (folder / name).chmod(stat.S_IRWXU)
    return folder


def setup(folder, *purposes):
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "LC_ALL": "C"}
    done = subprocess.run([ROOT / "tools/setup", *purposes], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    asked = (folder / "asked").read_text() if (folder / "asked").exists() else ""
    return done, asked


def installs_what_is_missing(tool):
    """setup says what it installs, asks for that and no more, and leaves alone what another package provides"""
    build = sections()["build"]
    folder = fake_host(tool, present=[p for p in build if p not in ("meson", "gcc")])
    done, asked = setup(folder, "build")
    assert done.returncode == 0, done.stderr
    assert "gcc meson" in done.stderr, done.stderr
    install = [line for line in asked.splitlines() if " install " in line]
    assert len(install) == 1 and install[0].endswith("-y gcc meson") and "--no-install-recommends" in install[0], asked
    done, asked = setup(folder, "test")
    assert "nodejs" not in asked, asked


def starts_no_service(tool):
    """setup lets no service start that a package brings, and only for as long as it installs; a policy that is there stays"""
    folder = fake_host(tool, present=[])
    assert setup(folder, "build")[0].returncode == 0
    assert (folder / "policy").read_text() == "101\n" and not (folder / "policy-rc.d").exists()
    own = "#!/bin/sh\nexit 104\n"
    (folder / "installed").unlink()
    (folder / "policy-rc.d").write_text(own)
    (folder / "policy-rc.d").chmod(stat.S_IRWXU)
    assert setup(folder, "build")[0].returncode == 0
    assert (folder / "policy").read_text() == "101\n104\n" and (folder / "policy-rc.d").read_text() == own


def is_silent(tool):
    """setup with nothing missing says nothing and asks for nothing"""
    done, asked = setup(fake_host(tool, present=sections()["build"]), "build")
    assert (done.returncode, done.stdout, done.stderr, asked) == (0, "", "", "")


def adds_a_release(tool):
    """setup adds the source of a release that a package needs, at the mirror in use, once"""
    present = [p.split(":")[0].split("/")[0] for p in sections()["test"]]
    folder = fake_host(tool, present=[p for p in present if p != "pkcs11-provider"])
    done, asked = setup(folder, "test")
    assert done.returncode == 0 and "adding bookworm-backports at the mirror of bookworm" in done.stderr, done
    assert asked.splitlines()[-1].endswith("-y pkcs11-provider/bookworm-backports"), asked
    source = (folder / "kvp11-bookworm-backports.sources").read_text()
    assert "URIs: http://apt.example/\nSuites: bookworm-backports\nComponents: main\n" in source, source
    done, _ = setup(folder, "test")
    assert (done.returncode, done.stderr) == (0, ""), done


def takes_a_release_that_is_there(tool):
    """setup adds no source where apt has the release, and says so where it has not even the one beside it"""
    folder = fake_host(tool, present=[])
    (folder / "targets").write_text("http://apt.example/ bookworm-backports main\n")
    done, _ = setup(folder, "test")
    assert done.returncode == 0 and not list(folder.glob("*.sources")), done
    (folder / "installed").unlink()
    (folder / "targets").write_text("http://apt.example/ trixie main\n")
    done, _ = setup(folder, "test")
    assert done.returncode == 1 and "no source of 'bookworm'" in done.stderr, done


def knows_its_purposes(tool):
    """setup refuses a purpose that is no section, and none at all"""
    folder = fake_host(tool, present=[])
    for purposes, words in (((), "one of: build"), (("frob",), "no section [frob]")):
        done, asked = setup(folder, *purposes)
        assert done.returncode == 1 and not asked and words in done.stderr, done
    assert set(sections()) == {"build", "try", "test", "lint"}


SCENARIOS = (installs_what_is_missing, starts_no_service, is_silent, adds_a_release, takes_a_release_that_is_there, knows_its_purposes)
