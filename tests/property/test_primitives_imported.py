"""Whatever comes as key material is refused in the one way, or accepted in the one form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.key_pairs import KEY_PAIRS, material
from kmsq_schemas.models.enums import KeySpec
from kmsq_worker.errors import IncorrectKeyMaterialException
from kmsq_worker.keyspecs import SYMMETRIC_MATERIAL_BYTES
from kmsq_worker.primitives import imported, key_pairs
from kmsq_worker.secret import Secret

# RSA keys take long to validate: those of one size stand for the others.
specs = st.sampled_from([spec for spec in KEY_PAIRS if spec not in (KeySpec.RSA_3072, KeySpec.RSA_4096)])


@given(spec=st.sampled_from(KEY_PAIRS), given_bytes=st.binary(max_size=6144))
def test_any_bytes_are_no_private_key(spec: KeySpec, given_bytes: bytes) -> None:
    for wrong in (given_bytes, b"\x30" + given_bytes, material(spec).reveal() + given_bytes + b"\x00"):
        with pytest.raises(IncorrectKeyMaterialException):
            imported.accept(spec, Secret(wrong))


@given(spec=st.sampled_from(sorted(SYMMETRIC_MATERIAL_BYTES)), given_bytes=st.binary(max_size=70))
def test_symmetric_material_is_judged_by_its_length(spec: KeySpec, given_bytes: bytes) -> None:
    if len(given_bytes) == SYMMETRIC_MATERIAL_BYTES[spec]:
        assert imported.accept(spec, Secret(given_bytes)).reveal() == given_bytes
    else:
        with pytest.raises(IncorrectKeyMaterialException):
            imported.accept(spec, Secret(given_bytes))


@given(spec=specs, data=st.data())
def test_an_altered_private_key_is_refused_or_another_sound_one(spec: KeySpec, data: st.DataObject) -> None:
    """
    Of the bytes of a seed, any are a key, in its own form already.

    Elsewhere there is redundancy, which is checked, or (how a public point is written) has no influence.
    """
    altered = bytearray(material(spec).reveal())
    position = data.draw(st.integers(0, len(altered) - 1))
    altered[position] ^= data.draw(st.integers(1, 255))
    try:
        accepted = imported.accept(spec, Secret(bytes(altered)))
    except IncorrectKeyMaterialException:
        return
    is_seed = spec.startswith(("ECC_NIST_EDWARDS", "ML_"))
    assert accepted.reveal() == (bytes(altered) if is_seed else material(spec).reveal())
    assert imported.accept(spec, accepted).reveal() == accepted.reveal()
    assert key_pairs.spec_of(key_pairs.load(accepted)) is spec
