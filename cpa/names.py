# SPDX-License-Identifier: EUPL-1.2

"""Names on the wire that a CPA for Digikoppeling uses: namespaces, types, actions and algorithms."""

from typing import Final

CPPA: Final = "http://www.oasis-open.org/committees/ebxml-cppa/schema/cpp-cpa-2_0.xsd"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
XLINK: Final = "http://www.w3.org/1999/xlink"
MSG_HEADER: Final = "http://www.oasis-open.org/committees/ebxml-msg/schema/msg-header-2_0.xsd"

OIN_TYPE: Final = "urn:osb:oin"
SERVICE_TYPE: Final = "urn:osb:services"

MSH_SERVICE: Final = "urn:oasis:names:tc:ebxml-msg:service"
MSH_SERVICE_PREFIX: Final = "urn:oasis:names:tc:ebxml-msg:"
ACTOR_TO_PARTY_MSH: Final = "urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH"
ACTOR_NEXT_MSH: Final = "urn:oasis:names:tc:ebxml-msg:actor:nextMSH"

ACKNOWLEDGMENT: Final = "Acknowledgment"
MESSAGE_ERROR: Final = "MessageError"
PING: Final = "Ping"
PONG: Final = "Pong"
STATUS_REQUEST: Final = "StatusRequest"
STATUS_RESPONSE: Final = "StatusResponse"

SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"
SHA384: Final = "http://www.w3.org/2001/04/xmldsig-more#sha384"
SHA512: Final = "http://www.w3.org/2001/04/xmlenc#sha512"
RSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
RSA_SHA384: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"
RSA_SHA512: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
AES128_GCM: Final = "http://www.w3.org/2009/xmlenc11#aes128-gcm"
AES256_GCM: Final = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
