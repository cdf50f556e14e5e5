"""The figures in docs/security.md are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pybridge.data import structure
from pybridge.loading import keras_files, keras_safety, memory_limit
from pybridge.loading.operations import known_operations

_REPOSITORY = Path(__file__).parents[2]
_SERVER = _REPOSITORY / "node_runner" / "server"
_DOCUMENT = " ".join((_REPOSITORY / "docs" / "security.md").read_text("utf-8").split())


def _server_constant(name: str, file: str = "models/index.js") -> float:
    """A number of the server's code, which only JavaScript reads."""
    found = re.search(rf"^const {name} = ([\d.e]+);", (_SERVER / file).read_text("utf-8"), re.MULTILINE)
    assert found is not None, f"{name} is no longer there"
    return float(found[1])


def _server_default(name: str) -> int:
    (option,) = [each for each in json.loads((_SERVER / "options.json").read_text("utf-8"))["numbers"] if each["name"] == name]
    return int(option["default"])


@pytest.mark.parametrize(
    "sentence",
    [
        f"all {len(known_operations().known):,} operations of the registry",
        f"{len(known_operations().computing):,} of which compute",
        f"at most {keras_safety._RATIO_LIMIT} times its size, or {keras_safety._SMALL // 2**20} MB",
        f"never more than {keras_safety.SIZE_LIMIT // 2**30} GB",
        f"its configuration at most {keras_safety.CONFIG_LIMIT // 2**20} MB",
        f"may take {keras_files._TIMEOUT_SECONDS / 60:g} minutes, and {memory_limit._SHARE * 100:g} % of the free memory",
        f"pixels, in the server | {_server_default('max-pixels'):,} (`--max-pixels`)",
        f"scans of a JPEG file | {structure.MOST_SCANS} |",
        f"or of all frames of a GIF file or a WebP file | {structure.MOST_PIXELS_IN_ALL:,} |",
        f"frames of a GIF file or a WebP file | {structure.MOST_FRAMES:,} |",
        f"parts of a PNG file or a WebP file | {structure.MOST_PARTS:,}, and one more for each {structure.BYTES_OF_A_PART} bytes",
        f"One address may have {_server_default('max-connections-per-address')} connections",
        f"connections of the {_server_default('max-connections'):,}",
        f"more than {_server_constant('LONGEST_MESSAGE', 'app.js'):,.0f} characters of what was sent",
        f"seconds of decoding in the server | {_server_constant('DECODE_SECONDS'):g} |",
        f"at most {_server_constant('BATCH_PIXELS'):,.0f} pixels in a batch",
        f"at most {_server_constant('QUEUE_PIXELS'):,.0f} waiting",
    ],
)
def test_a_limit_stands_in_the_document_as_in_the_code(sentence: str) -> None:
    assert sentence in _DOCUMENT


def test_the_savers_operations_stand_in_the_document() -> None:
    assert all(f"`{name}`" in _DOCUMENT for name in known_operations().saver)


_OPERATIONS, _SAVED, _STOCK = (
    "loading/test_operations.py",
    "loading/test_hostile_saved_models.py",
    "loading/test_stock_saved_models.py",
)
_KERAS, _LIMITS, _RUNS = "loading/test_keras_files.py", "loading/test_opening_limits.py", "training/test_run_directory.py"
_CALLERS, _NAMES, _SLOW = "javascript/callers.test.js", "cli/test_hostile_names.py", "javascript/slow_pictures.test.js"
_MANNERS = "javascript/manners.test.js"
_NOTHING_TO_TEST: dict[str, list[str]] = {}

# Each paragraph and item of the document, by its first words, with the tests of what it says.
_PROOFS = {
    "The Python and Node.js that run pybridge": _NOTHING_TO_TEST,
    "What each command does with a model file:": _NOTHING_TO_TEST,
    "| `load_model`, `convert`, `verify`": {
        _SAVED: ["test_what_is_loaded_is_what_was_checked"],
        _KERAS: ["test_what_keras_opens_is_what_was_checked"],
    },
    "| `train`, `fine-tune` with it": {_SAVED: ["test_a_base_is_not_offered_what_training_has_no_word_for"]},
    "| `evaluate`, `predict`, `deploy`, `serve`": {
        "javascript/package.test.js": ["a server runs nothing of a package that it serves"]
    },
    "| the same with an ONNX file": {
        "converters/test_from_onnx.py": ["test_weights_outside_the_folder_are_refused", "test_damaged_files_are_refused"]
    },
    "A SavedModel is a program": {_OPERATIONS: ["test_a_graph_with_any_other_operation_is_refused_by_its_name"]},
    "- The list is": {
        _OPERATIONS: [
            "test_every_operation_of_this_tensorflow_is_in_a_group_of_the_list",
            "test_no_operation_is_in_two_groups_and_every_group_says_why",
            "test_a_graph_with_any_operation_that_computes_is_not_refused",
        ]
    },
    "- All graphs in the file": {
        _SAVED: [
            "test_every_graph_of_the_file_is_looked_at",
            "test_an_operation_deep_in_the_functions_of_a_model_is_refused",
            "test_gradients_name_functions_of_the_model",
            "test_a_function_that_an_attribute_names_must_be_one_of_the_model",
        ]
    },
    "- The saver": {
        _SAVED: [
            "test_a_saver_that_names_its_own_file_is_refused",
            "test_a_saver_that_leads_out_of_the_folder_it_is_given_is_refused",
            "test_a_signature_that_saves_is_refused",
            "test_a_restore_that_saves_is_refused",
            "test_a_saver_that_the_objects_of_the_model_name_is_refused",
        ],
        _STOCK: ["test_graphs_of_tensorflow_1_with_their_saver_open"],
    },
    "- Lookup tables": {
        _STOCK: ["test_tables_of_constants_and_random_numbers_open", "test_a_table_from_a_file_is_refused_and_can_be_allowed"]
    },
    "- The graph that is run": {
        _SAVED: [
            "test_the_graph_that_is_run_has_the_tag_serve_and_no_other",
            "test_an_operation_cannot_be_disguised_by_the_encoding",
        ]
    },
    "- What was checked is what is loaded": {
        _SAVED: ["test_what_is_loaded_is_what_was_checked", "test_the_copy_goes_with_the_model"]
    },
    "The refusal names the operations": {
        _SAVED: ["test_an_operation_that_its_user_allows_runs", "test_what_was_allowed_stays_allowed_when_the_model_is_saved"]
    },
    "Links out of the model's folder": {
        "loading/test_saved_models.py": ["test_a_link_out_of_the_folder_is_refused"],
        _LIMITS: ["test_what_is_neither_a_file_nor_a_folder_is_refused"],
    },
    "- The first bytes of a file": {
        _KERAS: ["test_a_file_of_two_formats_at_once_is_refused", "test_the_content_of_a_file_says_what_it_is_and_not_its_name"]
    },
    "- Keras is given a private copy": {_KERAS: ["test_what_keras_opens_is_what_was_checked"]},
    "- Python code in Lambda layers": {
        _KERAS: [
            "test_a_lambda_layer_runs_only_where_it_is_allowed",
            "test_a_lambda_is_known_under_every_name_and_in_every_place",
        ]
    },
    "- Classes and functions must be Keras's own": {
        _KERAS: ["test_what_no_model_is_made_of_is_refused_by_its_name", "test_layers_that_reach_out_are_refused"]
    },
    "- HDF5 with links": {
        _KERAS: [
            "test_hdf5_that_reads_other_files_is_refused",
            "test_a_soft_link_in_hdf5_is_refused",
            "test_an_entry_that_leads_out_of_the_archive_is_refused",
        ],
        _LIMITS: ["test_an_encrypted_entry_is_refused", "test_an_entry_that_is_listed_twice_is_refused"],
    },
    "- A file may announce at most": {
        _KERAS: ["test_hdf5_that_announces_more_than_it_holds_is_refused"],
        _LIMITS: [
            "test_a_file_that_announces_more_than_its_size_explains_is_refused",
            "test_a_configuration_is_read_up_to_its_limit",
            "test_a_file_that_is_never_done_is_given_up",
            "test_memory_is_limited_to_a_share_of_what_is_free",
        ],
    },
    "Losses and metrics of an HDF5 file": {_KERAS: ["test_losses_and_metrics_of_an_hdf5_file_run_no_code"]},
    "They may have any operation": {_SAVED: ["test_a_graph_model_of_tfjs_cannot_reach_out"]},
    "A run's record names the SHA-256": {
        _RUNS: [
            "test_hashes_cannot_be_switched_off",
            "test_an_altered_file_is_named",
            "test_a_missing_file_is_named",
            "test_a_file_that_is_read_must_be_among_those_with_a_hash",
        ],
        "javascript/package.test.js": [
            "a file that was altered is seen before anything is loaded",
            "a server runs nothing of a package that it serves",
        ],
        "javascript/graph_safety.test.js": ["${what} is refused by name"],
        "server/test_serve_versions.py": ["test_a_graph_that_writes_files_is_refused_by_name"],
    },
    "What a package's own `npm start`": _NOTHING_TO_TEST,
    "Pictures of strangers are decoded within limits": {
        "data/test_structure.py": ["test_a_file_that_asks_for_too_much_is_refused"],
        "deployment/test_picture_limits.py": [
            "test_the_limits_of_what_a_picture_is_made_of_are_the_same_in_both_languages",
            "test_the_largest_picture_is_the_same_in_training_package_and_server",
        ],
    },
    "WebP, AVIF, TIFF and HEIC files, unusual": {
        "data/test_decoded_here.py": [
            "test_the_first_picture_is_what_pillow_decodes",
            "test_damage_is_a_data_error_or_a_picture",
        ],
        "data/test_structure.py": ["test_a_file_that_asks_for_too_much_is_refused"],
        "data/test_tables.py": ["test_a_zip_writes_nowhere_else"],
    },
    "The package decodes in threads": {
        _SLOW: [
            "a picture that takes too long ends its thread, and the next one is decoded",
            "others are answered while a client has many large pictures decoded",
        ]
    },
    "It listens on this machine only": {_CALLERS: ["a server that others reach without a token is known as such"]},
    "- On a loopback address": {
        _CALLERS: ["a server on this machine does not answer for", "a name that was allowed is answered"]
    },
    "- What a page of another site sends": {_CALLERS: ["${name} is refused before its body is read"]},
    "- A request with two `Host` headers": {_CALLERS: ["${name} are a bad request, and the connection is closed"]},
    "- Web pages of the origins": {
        _MANNERS: [
            "pages of an origin that is allowed may ask and read the answer",
            "a token is asked for behind the question of a browser",
        ]
    },
    "- One address may have": {_MANNERS: ["one address cannot take all connections: others and the probes are answered"]},
    "- A body that is compressed": {_MANNERS: ["a body that grows when it is inflated is refused"]},
    "- Bodies, images in a request": {
        "javascript/request_queue.test.js": ["images and bytes that wait are counted"],
        _SLOW: ["the decoded size of what waits is limited", "many clients with a large picture each hold up nobody else"],
    },
    "- A full queue is answered with 429": {
        "server/test_serve_life.py": ["test_large_requests_at_once_are_told_to_come_again"],
        "server/test_serve_bad_requests.py": ["test_a_bad_request_is_told_what_is_wrong"],
        _MANNERS: ["an error does not send back the megabyte that it complains of"],
    },
    "Labels, file names and other words": {
        _NAMES: [
            "test_what_people_read_is_only_text",
            "test_json_is_exact",
            "test_training_warns_of_files_by_names_that_do_nothing",
        ],
        "report/test_run_page.py": ["test_whatever_users_name_is_only_text"],
    },
    "The Python processes that pybridge starts": {
        "runtime/test_python_children.py": [
            "test_code_and_modules_are_not_taken_from_there",
            "test_a_confined_program_starts_there",
            "test_the_tensorflow_process_works_there",
        ]
    },
    "The native addon, npm packages": {
        "storage/test_trust.py": ["test_no_part_of_an_unsafe_cache_is_used"],
        "storage/test_files.py": ["test_a_file_has_the_permissions_that_the_umask_leaves"],
    },
    "On Linux with Landlock": {
        "runtime/test_sandbox.py": [
            "test_a_confined_process_opens_what_it_is_given_and_nothing_else",
            "test_the_sandbox_can_be_switched_off_and_says_so",
        ],
        "rpc/test_confined_runner.py": ["test_it_reads_what_it_is_given_and_computes"],
        "loading/test_saved_models.py": ["test_its_graph_has_a_process_of_its_own_until_it_is_disposed_of"],
        _KERAS: ["test_code_that_is_allowed_runs_in_a_sandbox"],
    },
    "Not confined are": _NOTHING_TO_TEST,
    "A model can be wrong on purpose": _NOTHING_TO_TEST,
}


def _statements() -> list[str]:
    """The paragraphs, items and rows of the document, each a line; of a table of limits, whose figures are tested, none."""
    text = (_REPOSITORY / "docs" / "security.md").read_text("utf-8")
    text = re.sub(r"(?m)^\| of one picture.*\n(\|.*\n)+", "", text)
    text = re.sub(r"(?m)^(#.*|\| command.*|\|[-|]+)\n", "", text)
    text = re.sub(r"\n(?![-|\n])", " ", text)
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("statement", _statements(), ids=lambda statement: statement[:40])
def test_what_the_document_says_is_tested(statement: str) -> None:
    (proofs,) = [proofs for start, proofs in _PROOFS.items() if statement.startswith(start)]
    for file, names in proofs.items():
        content = (_REPOSITORY / "tests" / file).read_text("utf-8")
        for name in names:
            assert (f"def {name}(" if file.endswith(".py") else f"test({name}") in content.replace("test('", "test(").replace(
                "test(`", "test("
            )


def test_no_proof_is_of_something_that_the_document_does_not_say() -> None:
    statements = _statements()
    assert [start for start in _PROOFS if not any(statement.startswith(start) for statement in statements)] == []
